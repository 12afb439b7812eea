// What the jobs in the server tests have in common.
#pragma once

#include <cstdint>

#include "common/protocol/view_key.h"
#include "proto/job.pb.h"

namespace shoal::server {

// The minimal job. Callers add what they test, then complete it (CompleteJob).
inline JobSpec TestSpec(uint64_t rounds, uint32_t slots) {
  JobSpec spec;
  spec.set_name("test");
  spec.set_task(TASK_TEXT_CLASSIFICATION);
  spec.mutable_data()->add_train_files("data.tsv");
  spec.mutable_data()->add_text("text");
  spec.mutable_data()->set_label("label");
  spec.mutable_train()->set_rounds(rounds);
  spec.mutable_train()->set_slots(slots);
  spec.mutable_optimizer()->set_learning_rate(0.1);
  return spec;
}

inline ViewKey Key(uint64_t view) { return {JobId(1), TrainingId(77), ViewId(view)}; }

}  // namespace shoal::server
