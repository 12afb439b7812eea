#include "server/shard_config.h"

#include <algorithm>

#include "common/base/parameter_info.h"
#include "common/base/status.h"
#include "common/job/artifact_names.h"
#include "common/job/job_plan_check.h"

namespace shoal::server {
namespace {

kernels::OptimizerConfig OptimizerOf(const OptimizerSpec& spec) {
  kernels::OptimizerConfig config;
  switch (spec.type()) {
    case OPTIMIZER_TYPE_SGD:
      config.kind = kernels::OptimizerKind::kSgd;
      break;
    case OPTIMIZER_TYPE_ADAM:
      config.kind = kernels::OptimizerKind::kAdam;
      break;
    default:
      SHOAL_CHECK(spec.type() == OPTIMIZER_TYPE_ADAMW);  // the spec is checked
      config.kind = kernels::OptimizerKind::kAdamW;
  }
  config.beta1 = spec.beta1();
  config.beta2 = spec.beta2();
  config.epsilon = spec.epsilon();
  config.momentum = spec.momentum();
  config.nesterov = spec.nesterov();
  config.weight_decay = spec.weight_decay();
  return config;
}

std::vector<std::string> MomentNames(const kernels::OptimizerConfig& config) {
  switch (kernels::MomentCount(config)) {
    case 0:
      return {};
    case 1:
      return {"momentum"};
    default:
      return {"exp_avg", "exp_avg_sq"};
  }
}

}  // namespace

absl::StatusOr<std::shared_ptr<const ShardConfig>> MakeShardConfig(JobId id, const JobSpec& spec,
                                                                   const JobPlan& plan,
                                                                   uint64_t max_block_elements) {
  SHOAL_RETURN_IF_ERROR(CheckPlan(spec, plan));
  auto job = std::make_shared<ShardConfig>();
  job->job = id;
  job->spec = spec;
  job->length = LengthOf(plan);
  job->slots = spec.train().slots();
  job->wire = spec.train().wire();
  job->optimizer = OptimizerOf(spec.optimizer());
  job->clip_norm = spec.optimizer().clip_norm();
  job->moment_names = MomentNames(job->optimizer);
  const std::vector<uint64_t> groups(plan.group_sizes().begin(), plan.group_sizes().end());
  job->blocks = CutBlocks(groups, max_block_elements);
  job->parameters.assign(plan.parameters().begin(), plan.parameters().end());
  for (const Artifact& artifact : plan.artifacts()) {
    if (artifact.name() == kWeightsArtifact) job->weights = artifact;
  }
  return job;
}

std::vector<UpdateRange> UpdateRanges(const ShardConfig& job, const BlockSpec& block) {
  std::vector<UpdateRange> ranges;
  const uint64_t end = block.offset + block.size;
  for (const ParameterInfo& parameter : job.parameters) {
    const uint64_t begin = std::max(parameter.offset(), block.offset);
    const uint64_t stop = std::min(parameter.offset() + ElementsOf(parameter), end);
    if (begin >= stop) continue;
    const double rate_factor = RateFactor(parameter);
    if (!ranges.empty() && ranges.back().decay == parameter.decay() &&
        ranges.back().rate_factor == rate_factor) {
      ranges.back().end = stop - block.offset;
    } else {
      ranges.push_back({begin - block.offset, stop - block.offset, parameter.decay(), rate_factor});
    }
  }
  return ranges;
}

}  // namespace shoal::server
