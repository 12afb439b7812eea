#include "server/shard_job.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/job_spec.h"
#include "common/status.h"

namespace shoal::server {
namespace {

constexpr char kWeights[] = "weights";
constexpr uint64_t kMaxParameters = uint64_t{1} << 40;

OptimizerConfig OptimizerOf(const OptimizerSpec& spec) {
  OptimizerConfig config;
  switch (spec.type()) {
    case OPTIMIZER_TYPE_SGD:
      config.kind = OptimizerKind::kSgd;
      break;
    case OPTIMIZER_TYPE_ADAM:
      config.kind = OptimizerKind::kAdam;
      break;
    default:
      config.kind = OptimizerKind::kAdamW;
  }
  config.beta1 = spec.beta1();
  config.beta2 = spec.beta2();
  config.epsilon = spec.epsilon();
  config.momentum = spec.momentum();
  config.nesterov = spec.nesterov();
  config.weight_decay = spec.weight_decay();
  return config;
}

std::vector<std::string> MomentNames(const OptimizerConfig& config) {
  switch (MomentCount(config)) {
    case 0:
      return {};
    case 1:
      return {"momentum"};
    default:
      return {"exp_avg", "exp_avg_sq"};
  }
}

uint64_t ElementsOf(const ParameterInfo& parameter) {
  uint64_t elements = 1;
  for (uint64_t dimension : parameter.shape()) {
    if (dimension == 0) return 0;
    if (dimension > kMaxParameters / elements) return kMaxParameters + 1;
    elements *= dimension;
  }
  return elements;
}

absl::Status CheckParameters(const JobPlan& plan) {
  uint64_t size = 0, groups = 0;
  for (const ParameterInfo& parameter : plan.parameters()) {
    if (parameter.offset() != size) {
      return absl::InvalidArgumentError(absl::StrCat("plan: parameter ", parameter.name(), " starts at ",
                                                     parameter.offset(), ", expected ", size));
    }
    const uint64_t elements = ElementsOf(parameter);
    if (elements == 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("plan: parameter ", parameter.name(), " has no elements"));
    }
    size += elements;
    if (size > kMaxParameters) return absl::InvalidArgumentError("plan: too many parameters");
  }
  for (uint64_t group : plan.group_sizes()) {
    if (group > kMaxParameters - groups) return absl::InvalidArgumentError("plan: groups are too large");
    groups += group;
  }
  if (size == 0 || size != groups) {
    return absl::InvalidArgumentError(
        absl::StrCat("plan: the groups have ", groups, " elements, the parameters ", size));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::shared_ptr<const ShardJob>> MakeShardJob(JobId id, const JobSpec& spec,
                                                             const JobPlan& plan,
                                                             uint64_t max_block_elements) {
  SHOAL_RETURN_IF_ERROR(ValidateJob(spec));
  SHOAL_RETURN_IF_ERROR(CheckParameters(plan));
  auto job = std::make_shared<ShardJob>();
  job->job = id;
  job->spec = spec;
  job->length = {plan.rounds(), std::max<uint64_t>(plan.rounds_per_epoch(), 1)};
  SHOAL_RETURN_IF_ERROR(CheckLength(spec, job->length));
  if (spec.train().slots() == 0) return absl::InvalidArgumentError("spec: train.slots is 0");
  if (plan.rounds() == 0) return absl::InvalidArgumentError("plan: no rounds");
  job->slots = spec.train().slots();
  job->wire = spec.train().wire();
  job->optimizer = OptimizerOf(spec.optimizer());
  job->clip_norm = spec.optimizer().clip_norm();
  job->moment_names = MomentNames(job->optimizer);
  const std::vector<uint64_t> groups(plan.group_sizes().begin(), plan.group_sizes().end());
  job->blocks = CutBlocks(groups, max_block_elements);
  job->parameters.assign(plan.parameters().begin(), plan.parameters().end());
  for (const Artifact& artifact : plan.artifacts()) {
    if (artifact.name() == kWeights) job->weights = artifact;
  }
  return job;
}

std::vector<DecayRange> DecayRanges(const ShardJob& job, const BlockSpec& block) {
  std::vector<DecayRange> ranges;
  const uint64_t end = block.offset + block.size;
  for (const ParameterInfo& parameter : job.parameters) {
    const uint64_t begin = std::max(parameter.offset(), block.offset);
    const uint64_t stop = std::min(parameter.offset() + ElementsOf(parameter), end);
    if (begin >= stop) continue;
    if (!ranges.empty() && ranges.back().decay == parameter.decay()) {
      ranges.back().end = stop - block.offset;
    } else {
      ranges.push_back({begin - block.offset, stop - block.offset, parameter.decay()});
    }
  }
  return ranges;
}

}  // namespace shoal::server
