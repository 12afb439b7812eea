// The job of tests. They add what they test, then complete it (CompleteJob).
#pragma once

#include <cstdint>

#include "proto/job.pb.h"

namespace shoal {

// The smallest job that is valid once it is complete.
inline JobSpec TestSpec(uint64_t rounds, uint32_t slots) {
  JobSpec spec;
  spec.set_name("test");
  spec.set_task(TASK_TEXT_CLASSIFICATION);
  spec.mutable_data()->add_files("data.tsv");
  spec.mutable_data()->add_text("text");
  spec.mutable_data()->set_label("label");
  spec.mutable_train()->set_rounds(rounds);
  spec.mutable_train()->set_slots(slots);
  spec.mutable_optimizer()->set_learning_rate(0.1);
  return spec;
}

// The same without evaluations, whose versions would have checkpoints too.
inline JobSpec PlainTestSpec(uint64_t rounds, uint32_t slots) {
  JobSpec spec = TestSpec(rounds, slots);
  spec.mutable_evaluation()->mutable_every()->set_never(true);
  return spec;
}

}  // namespace shoal
