#include "worker/text/trained_choice.h"

#include <cstdint>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/job/frozen_part.h"

namespace shoal::worker {
namespace {

// The group of an element of θ.
uint64_t GroupOf(const model::Parameters& parameters, uint64_t offset) {
  uint64_t group = 0;
  while (group + 1 < parameters.group_begins.size() && parameters.group_begins[group + 1] <= offset) ++group;
  return group;
}

// Groups are the embeddings, the layers and the head.
uint64_t LayersOf(const model::Parameters& parameters) { return parameters.group_sizes.size() - 2; }

bool IsFrozen(const FrozenPart& part, const ParameterInfo& info, uint64_t group) {
  switch (part.kind) {
    case FrozenPart::Kind::kEmbeddings:
      return group == 0;
    case FrozenPart::Kind::kLayers:
      return group > part.first && group - 1 <= part.last;
    case FrozenPart::Kind::kWeights:
      return !absl::EndsWith(info.name(), ".bias");
  }
  return false;
}

}  // namespace

absl::StatusOr<std::vector<bool>> ChooseTrained(const JobSpec& spec, const model::Parameters& parameters) {
  const uint64_t layers = LayersOf(parameters);
  std::vector<bool> trains(parameters.infos.size(), true);
  const auto freeze = [&](const auto& is_frozen) {
    for (size_t i = 0; i < trains.size(); ++i) {
      const ParameterInfo& info = parameters.infos[i];
      const uint64_t group = GroupOf(parameters, info.offset());
      if (group <= layers && is_frozen(info, group)) trains[i] = false;
    }
  };
  for (int i = 0; i < spec.train().freeze_size(); ++i) {
    const std::string field = absl::StrCat("train.freeze[", i, "]");
    SHOAL_ASSIGN_OR_RETURN(const FrozenPart part, Annotate(ParseFrozenPart(spec.train().freeze(i)), field));
    const bool open = part.last == FrozenPart::kLastLayer;
    if (part.kind == FrozenPart::Kind::kLayers && !open && part.last >= layers) {
      return absl::InvalidArgumentError(
          absl::StrCat(field, ": '", spec.train().freeze(i), "': the model has layers 0-", layers - 1));
    }
    freeze([&](const ParameterInfo& info, uint64_t group) { return IsFrozen(part, info, group); });
  }
  if (spec.has_lora()) freeze([](const ParameterInfo& info, uint64_t) { return !info.added(); });
  return trains;
}

void SetRateFactors(const JobSpec& spec, model::Parameters* parameters) {
  const OptimizerSpec& optimizer = spec.optimizer();
  if (!optimizer.has_layer_decay() && !optimizer.has_head_learning_rate()) return;
  const uint64_t head = LayersOf(*parameters) + 1;
  std::vector<double> factors(head + 1, 1);
  if (optimizer.has_head_learning_rate())
    factors[head] = optimizer.head_learning_rate() / optimizer.learning_rate();
  double factor = 1;
  for (uint64_t group = head; optimizer.has_layer_decay() && group-- > 0;)
    factors[group] = factor *= optimizer.layer_decay();
  for (ParameterInfo& info : parameters->infos)
    info.set_rate_factor(factors[GroupOf(*parameters, info.offset())]);
}

}  // namespace shoal::worker
