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
    case OPTIMIZER_TYPE_LAMB:
      config.kind = kernels::OptimizerKind::kLamb;
      break;
    case OPTIMIZER_TYPE_ADAFACTOR:
      config.kind = kernels::OptimizerKind::kAdafactor;
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

void AddArray(const char* name, ShardConfig* job, std::optional<size_t>* position) {
  *position = job->array_names.size();
  job->array_names.emplace_back(name);
}

void NameArrays(ShardConfig* job) {
  const bool second = KeepsSecondMoment(job->optimizer);
  if (KeepsFirstMoment(job->optimizer)) AddArray(second ? "exp_avg" : "momentum", job, &job->first_moment);
  if (second) AddArray("exp_avg_sq", job, &job->second_moment);
  if (job->average_decay > 0) AddArray("average", job, &job->average);
  if (job->outlier_factor > 0) AddArray("gradient_norms", job, &job->recent_norms);
}

// Vectors have rows of one element.
kernels::RowPlace PlaceIn(const ParameterInfo& parameter, uint64_t element) {
  if (parameter.shape_size() < 2) return {};
  const uint64_t columns = parameter.shape(parameter.shape_size() - 1);
  return {columns, (element - parameter.offset()) % columns};
}

// The ranges of a block, cut where something changes. `first`: the first parameter that is not before the
// block; becomes that of the next block.
std::vector<UpdateRange> RangesOf(const ShardConfig& job, const BlockSpec& block, size_t* first) {
  std::vector<UpdateRange> ranges;
  const bool of_tensors = job.adapts_to_norms() || job.updates_whole_tensors();
  const uint64_t end = block.offset + block.size;
  uint64_t second_moment = 0;
  for (size_t i = *first; i < job.parameters.size() && job.parameters[i].offset() < end; ++i) {
    const ParameterInfo& parameter = job.parameters[i];
    *first = i;
    const uint64_t begin = std::max(parameter.offset(), block.offset);
    const uint64_t stop = std::min(parameter.offset() + ElementsOf(parameter), end);
    if (begin >= stop) continue;
    const double rate_factor = RateFactor(parameter);
    if (!of_tensors && !ranges.empty() && ranges.back().decay == parameter.decay() &&
        ranges.back().rate_factor == rate_factor) {
      ranges.back().end = stop - block.offset;
      continue;
    }
    UpdateRange range;
    range.begin = begin - block.offset;
    range.end = stop - block.offset;
    range.decay = parameter.decay();
    range.rate_factor = rate_factor;
    range.parameter = i;
    range.place = PlaceIn(parameter, begin);
    range.second_moment = of_tensors ? second_moment : range.begin;
    second_moment += SecondMomentSize(job.optimizer, range.place, stop - begin);
    ranges.push_back(range);
  }
  return ranges;
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
  job->outlier_factor = spec.optimizer().outlier_factor();
  job->skip_not_finite = spec.optimizer().skip_not_finite();
  job->average_decay = spec.optimizer().ema_decay();
  NameArrays(job.get());
  const std::vector<uint64_t> groups(plan.group_sizes().begin(), plan.group_sizes().end());
  job->blocks = CutBlocks(groups, max_block_elements);
  job->parameters.assign(plan.parameters().begin(), plan.parameters().end());
  size_t first = 0;
  for (const BlockSpec& block : job->blocks) job->ranges.push_back(RangesOf(*job, block, &first));
  for (const Artifact& artifact : plan.artifacts()) {
    if (artifact.name() == kWeightsArtifact) job->weights = artifact;
  }
  return job;
}

bool ShardConfig::publishes_average(Version version) const {
  return average.has_value() &&
         (version.value() == length.rounds || IsDue(spec.evaluation().every(), length, version));
}

std::vector<uint64_t> ArraySizes(const ShardConfig& job, BlockId block) {
  const uint64_t size = job.blocks[block.value()].size;
  std::vector<uint64_t> sizes(job.array_names.size(), size);
  if (job.recent_norms) sizes[*job.recent_norms] = kRecentNorms;
  if (job.second_moment) {
    const UpdateRange& last = job.ranges[block.value()].back();
    sizes[*job.second_moment] =
        last.second_moment + SecondMomentSize(job.optimizer, last.place, last.end - last.begin);
  }
  return sizes;
}

uint64_t NormCount(const ShardConfig& job, BlockId block) {
  if (!job.adapts_to_norms()) return 1;
  const std::vector<UpdateRange>& ranges = job.ranges[block.value()];
  return 1 + 2 * std::count_if(ranges.begin(), ranges.end(), [](const UpdateRange& r) { return r.decay; });
}

}  // namespace shoal::server
