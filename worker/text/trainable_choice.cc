#include "worker/text/trainable_choice.h"

#include <algorithm>
#include <cstdint>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/job/frozen_part.h"

namespace shoal::worker {
namespace {

// Whether a parameter that is not the head's belongs to the part.
bool IsIn(const FrozenPart& part, const ParameterInfo& info, int group) {
  switch (part.kind) {
    case FrozenPart::Kind::kEmbeddings:
      return group == 0;
    case FrozenPart::Kind::kLayers:
      return group > 0 && static_cast<uint32_t>(group) > part.first &&
             static_cast<uint32_t>(group) - 1 <= part.last;
    case FrozenPart::Kind::kWeights:
      return !absl::EndsWith(info.name(), ".bias");
  }
  return false;
}

}  // namespace

absl::StatusOr<std::vector<bool>> ChooseTrainable(const JobSpec& spec, const model::Parameters& parameters) {
  std::vector<bool> trains(parameters.infos.size(), true);
  const auto freeze = [&](const auto& is_frozen) {
    for (size_t i = 0; i < trains.size(); ++i) {
      const ParameterInfo& info = parameters.infos[i];
      if (!parameters.OfHead(info) && is_frozen(info, parameters.GroupOf(info.offset()))) trains[i] = false;
    }
  };
  const auto layers = static_cast<uint32_t>(parameters.layers());
  for (int i = 0; i < spec.train().freeze_size(); ++i) {
    const std::string field = absl::StrCat("train.freeze[", i, "]");
    SHOAL_ASSIGN_OR_RETURN(FrozenPart part, Annotate(ParseFrozenPart(spec.train().freeze(i)), field));
    if (part.last == FrozenPart::kLastLayer) part.last = layers - 1;
    if (part.kind == FrozenPart::Kind::kLayers && part.last >= layers) {
      return absl::InvalidArgumentError(
          absl::StrCat(field, ": '", spec.train().freeze(i), "': the model has layers 0-", layers - 1));
    }
    freeze([&](const ParameterInfo& info, int group) { return IsIn(part, info, group); });
  }
  if (spec.has_lora() || spec.has_adapters())
    freeze([](const ParameterInfo& info, int) { return !info.added(); });
  if (std::find(trains.begin(), trains.end(), true) == trains.end())
    return absl::InvalidArgumentError(
        "train.freeze: nothing is left to train: the model's head has no parameters");
  return trains;
}

absl::Status SetRateFactors(const JobSpec& spec, model::Parameters* parameters) {
  constexpr double kMinFactor = 1e-9;
  const OptimizerSpec& optimizer = spec.optimizer();
  if (!optimizer.has_layer_decay() && !optimizer.has_head_learning_rate()) return absl::OkStatus();
  // Of the embeddings, the layers, and what follows them.
  std::vector<double> factors(parameters->group_sizes.size(), 1);
  double factor = 1;
  for (size_t group = factors.size() - 1; optimizer.has_layer_decay() && group-- > 0;)
    factors[group] = factor *= optimizer.layer_decay();
  if (factor < kMinFactor) {
    return absl::InvalidArgumentError(
        absl::StrCat("optimizer.layer_decay: ", optimizer.layer_decay(), " with ", parameters->layers(),
                     " layers leaves the embeddings a learning rate of ", factor,
                     " times optimizer.learning_rate; expected at least ", kMinFactor, " times"));
  }
  const double of_head =
      optimizer.has_head_learning_rate() ? optimizer.head_learning_rate() / optimizer.learning_rate() : 1;
  for (ParameterInfo& info : parameters->infos) {
    info.set_rate_factor(parameters->OfHead(info) ? of_head : factors[parameters->GroupOf(info.offset())]);
  }
  return absl::OkStatus();
}

}  // namespace shoal::worker
