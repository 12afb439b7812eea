// What a job computes in a slot, apart from the protocol: a seam between the model and the round machinery.
#pragma once

#include <cstdint>
#include <functional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/types.h"
#include "proto/parameter.pb.h"
#include "proto/scheduler.pb.h"

namespace shoal {

// One slot of a round.
struct SlotTask {
  Round round;
  Slot slot;
  const float* theta = nullptr;  // all of θ; a group may be read only after wait_group
  float* gradient = nullptr;     // out: the sum of the examples' gradients, flat like θ; every element is written
  // Blocks until the group's parameters are here; false: the slot is not wanted any more (return CANCELLED).
  std::function<bool(int group)> wait_group;
  // Forward of the whole slot is over.
  std::function<void(const ContributionStats&)> set_stats;
  // The gradient of the group is final; last group first.
  std::function<void(int group)> group_final;
};

struct EvaluationTask {
  EvaluationSet set = EVALUATION_SET_NONE;
  Slot slot;
  const float* theta = nullptr;  // all of it is here
};

// Pure functions of the job, its data and the task. Used by one thread at a time.
class Program {
 public:
  virtual ~Program() = default;
  virtual absl::Status RunSlot(const SlotTask& task) = 0;
  virtual absl::StatusOr<EvaluationStatistics> EvaluateSlot(const EvaluationTask& task) = 0;
};

}  // namespace shoal
