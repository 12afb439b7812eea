// What a parameter server must know about a job, derived once from its spec and plan.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
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

// A range of a block whose parameters are updated alike.
struct UpdateRange {
  uint64_t begin = 0;  // elements, within the block
  uint64_t end = 0;
  bool decay = true;       // whether they have weight decay
  double rate_factor = 1;  // of the learning rate
  // With LAMB and Adafactor, whose ranges are those of one parameter each:
  size_t parameter = 0;        // index in ShardConfig::parameters
  kernels::RowPlace place;     // of the range's first element
  uint64_t second_moment = 0;  // where the range's begins in the block's second moment
};

// A round's gradient norm is compared with the median of this many before it.
inline constexpr uint64_t kRecentNorms = 64;

// Immutable; any thread.
struct ShardConfig {
  JobId job;
  JobSpec spec;  // completed
  TrainingLength length;
  uint32_t slots = 1;
  const RoundPolicy* rounds = &SynchronousRounds();
  WireFormat wire = WIRE_FORMAT_F32;
  kernels::OptimizerConfig optimizer;
  double clip_norm = 0;           // 0: no clipping
  double outlier_factor = 0;      // a round whose norm is more than this times the median is skipped; 0: none
  bool skip_not_finite = false;   // a round whose loss or norm is not finite is skipped
  double average_decay = 0;       // of the average of θ; 0: none is kept
  std::vector<BlockSpec> blocks;  // of the whole job
  std::vector<std::vector<UpdateRange>> ranges;  // of each block, which they cover
  // What a block keeps beside θ, by its name in checkpoints, and where it is in this list.
  std::vector<std::string> array_names;
  std::optional<size_t> first_moment, second_moment;
  std::optional<size_t> average;       // of θ, element by element
  std::optional<size_t> recent_norms;  // of the rounds with these numbers modulo kRecentNorms; 0: not known
  std::vector<ParameterInfo> parameters;  // in order of θ, without gaps
  Artifact weights;                       // holds θ_0; empty name: none

  // Whether an update needs all of a parameter's gradient in the block at once.
  bool updates_whole_tensors() const { return optimizer.kind == kernels::OptimizerKind::kAdafactor; }
  // Whether the rate of each parameter depends on the norms of all its blocks.
  bool adapts_to_norms() const { return optimizer.kind == kernels::OptimizerKind::kLamb; }
  // Whether the shards exchange norms before a round is applied.
  bool exchanges_norms() const {
    return clip_norm > 0 || outlier_factor > 0 || skip_not_finite || adapts_to_norms();
  }
  // Whether the published version has the block's average: where it may be evaluated.
  bool publishes_average(Version version) const;
};

// Checks spec and plan, which came over the network. `max_block_elements` lets tests and simulations use
// small blocks. Errors: INVALID_ARGUMENT, saying what does not match.
absl::StatusOr<std::shared_ptr<const ShardConfig>> MakeShardConfig(
    JobId job, const JobSpec& spec, const JobPlan& plan, uint64_t max_block_elements = kMaxBlockElements);

// The sizes in elements of what a block keeps beside θ, in the order of ShardConfig::array_names.
std::vector<uint64_t> ArraySizes(const ShardConfig& job, BlockId block);

// The number of squared norms of a block that the shards exchange: that of the gradient, and with LAMB, for
// each range with weight decay, those of the parameters and of the update (kernels::LambNorms).
uint64_t NormCount(const ShardConfig& job, BlockId block);

}  // namespace shoal::server
