// What a parameter server must know about a job, derived once from its spec and plan.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/types.h"
#include "common/job/schedule.h"
#include "common/protocol/blocks.h"
#include "common/protocol/round_policy.h"
#include "kernels/optimizer.h"
#include "proto/scheduler.pb.h"

namespace shoal::server {

// Immutable; any thread.
struct ShardConfig {
  JobId job;
  JobSpec spec;  // completed
  TrainingLength length;
  uint32_t slots = 1;
  const RoundPolicy* rounds = &SynchronousRounds();
  WireFormat wire = WIRE_FORMAT_F32;
  kernels::OptimizerConfig optimizer;
  double clip_norm = 0;                   // 0: no clipping
  std::vector<std::string> moment_names;  // names of the optimizer's arrays in checkpoints
  std::vector<BlockSpec> blocks;          // of the whole job
  std::vector<ParameterInfo> parameters;  // in order of θ, without gaps
  Artifact weights;                       // holds θ_0; empty name: none

  bool clips() const { return clip_norm > 0; }
};

// A range of a block whose parameters are updated alike.
struct UpdateRange {
  uint64_t begin = 0;  // elements, within the block
  uint64_t end = 0;
  bool decay = true;       // whether they have weight decay
  double rate_factor = 1;  // of the learning rate
};

// Checks spec and plan, which came over the network. `max_block_elements` lets tests and simulations use
// small blocks. Errors: INVALID_ARGUMENT, saying what does not match.
absl::StatusOr<std::shared_ptr<const ShardConfig>> MakeShardConfig(
    JobId job, const JobSpec& spec, const JobPlan& plan, uint64_t max_block_elements = kMaxBlockElements);

// Covers the whole block, cut where something changes.
std::vector<UpdateRange> UpdateRanges(const ShardConfig& job, const BlockSpec& block);

}  // namespace shoal::server
