// What a job computes in a slot: the interface between the model and the protocol of rounds.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/types.h"
#include "common/storage/progress.h"
#include "proto/parameter.pb.h"
#include "proto/scheduler.pb.h"

namespace shoal::worker {

// One slot of a round.
struct SlotTask {
  Round round;
  Slot slot;
  // All of θ, in host memory; a group may be read only after wait_group.
  const float* theta = nullptr;
  // Out, in host memory: the sum of the examples' gradients, flat like θ; every element is written.
  float* gradient = nullptr;
  // Blocks until the group's parameters have arrived; false: the slot is no longer wanted (return CANCELLED).
  std::function<bool(int group)> wait_group;
  // The forward pass of the whole slot has finished.
  std::function<void(const ContributionStats&)> set_stats;
  // The gradient of the group is final; last group first.
  std::function<void(int group)> group_final;
};

struct EvaluationTask {
  EvaluationSet set = EVALUATION_SET_NONE;
  Version version;  // of θ
  Slot slot;
  const float* theta = nullptr;  // in host memory; all of it has arrived
};

// Its results are pure functions of the job, its data and the task. Used by one thread at a time.
class Program {
 public:
  virtual ~Program() = default;
  virtual absl::Status RunSlot(const SlotTask& task) = 0;
  virtual absl::StatusOr<EvaluationStatistics> EvaluateSlot(const EvaluationTask& task) = 0;
};

// What the first worker of a job derives from its data. The plan lacks `artifacts`: the worker stores these
// bytes and fills it in.
struct DerivedJob {
  JobPlan plan;
  std::map<std::string, std::string> artifacts;  // bytes by name
};

// Makes the plans and programs of one worker. Used by one thread at a time.
class ProgramBuilder {
 public:
  virtual ~ProgramBuilder() = default;
  // Reads the job's data: a pure function of spec and data, so every worker derives the same. Errors:
  // INVALID_ARGUMENT is a mistake in the job, for its user to fix; others, including a missing file, are
  // problems of this machine.
  virtual absl::StatusOr<DerivedJob> Derive(const JobSpec& spec, const Progress& progress) = 0;
  // Whether all files of the plan are on this machine with the same contents. Errors: FAILED_PRECONDITION,
  // with both digests, when a file has other contents; the reason why one can't be read.
  virtual absl::StatusOr<bool> HasData(const JobPlan& /*plan*/, const Progress& /*progress*/) {
    return false;
  }
  // `artifacts`: files by name, complete and verified. Errors: FAILED_PRECONDITION when this machine's
  // arithmetic is not the plan's.
  virtual absl::StatusOr<std::unique_ptr<Program>> Build(const JobSpec& spec, const JobPlan& plan,
                                                         const std::map<std::string, std::string>& artifacts,
                                                         const Progress& progress) = 0;
};

}  // namespace shoal::worker
