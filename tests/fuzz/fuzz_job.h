// The job of several fuzz targets.
#pragma once

#include <cstdint>

#include "proto/job.pb.h"

namespace shoal {

// Valid, without its defaults.
inline JobSpec FuzzSpec(uint64_t rounds, uint32_t slots) {
  JobSpec spec;
  spec.set_name("fuzz");
  spec.set_task(TASK_TEXT_CLASSIFICATION);
  spec.mutable_data()->add_files("data.tsv");
  spec.mutable_data()->add_text("text");
  spec.mutable_data()->set_label("label");
  spec.mutable_train()->set_rounds(rounds);
  spec.mutable_train()->set_slots(slots);
  spec.mutable_optimizer()->set_learning_rate(0.1);
  return spec;
}

}  // namespace shoal
