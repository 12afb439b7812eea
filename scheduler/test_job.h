// The job of the scheduler tests.
#pragma once

#include <cstdint>

#include "common/job/job_spec.h"
#include "common/job/test_job.h"
#include "proto/scheduler.pb.h"

namespace shoal::scheduler {

inline constexpr uint32_t kSlots = 4;

inline JobSpec Spec() {
  JobSpec spec = TestSpec(20, kSlots);
  spec.mutable_evaluation()->mutable_every()->set_rounds(10);
  spec.mutable_checkpoint()->mutable_every()->set_rounds(5);
  CompleteJob(&spec);
  return spec;
}

// A job without evaluation while training.
inline JobSpec PlainSpec() {
  JobSpec spec = Spec();
  spec.mutable_evaluation()->mutable_every()->set_never(true);
  spec.mutable_evaluation()->set_keep_best(false);
  return spec;
}

inline JobPlan Plan() {
  JobPlan plan;
  plan.add_parameters()->add_shape(200000);
  plan.add_group_sizes(100000);
  plan.add_group_sizes(100000);
  plan.set_rounds(20);
  plan.set_rounds_per_epoch(10);
  plan.add_labels("a");
  plan.add_labels("b");
  plan.set_train_examples(100);
  plan.set_validation_examples(10);
  plan.set_test_examples(10);
  return plan;
}

}  // namespace shoal::scheduler
