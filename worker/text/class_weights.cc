#include "worker/text/class_weights.h"

#include <algorithm>
#include <cstddef>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/base/utf8.h"
#include "common/job/class_weight.h"

namespace shoal::worker {
namespace {

// Those that the job gives; 1 for the others.
absl::StatusOr<std::vector<double>> GivenWeights(const LossSpec& spec,
                                                 const std::vector<std::string>& labels) {
  std::vector<double> weights(labels.size(), 1);
  std::vector<bool> given(labels.size());
  for (int i = 0; i < spec.class_weights_size(); ++i) {
    SHOAL_ASSIGN_OR_RETURN(const ClassWeight weight, ParseClassWeight(spec.class_weights(i)));
    const auto found = std::find(labels.begin(), labels.end(), weight.label);
    const size_t place = found - labels.begin();
    if (found == labels.end() || given[place]) {
      return absl::InvalidArgumentError(
          absl::StrCat("loss.class_weights[", i, "]: '", ToQuoted(weight.label), "' ",
                       found == labels.end() ? "is not a label of the training examples" : "is named twice"));
    }
    given[place] = true;
    weights[place] = weight.weight;
  }
  return weights;
}

}  // namespace

absl::StatusOr<std::vector<float>> ClassWeights(const LossSpec& spec, const std::vector<std::string>& labels,
                                                absl::Span<const int32_t> classes) {
  if (spec.class_weights().empty()) return std::vector<float>();
  std::vector<double> counts(labels.size());
  double all = 0;
  for (int32_t label : classes) {
    if (label < 0) continue;
    ++counts[label];
    ++all;
  }
  std::vector<double> weights(labels.size());
  if (spec.class_weights(0) == kBalancedWeights) {
    // A label may occur nowhere: words after max_length are left out.
    for (size_t i = 0; i < labels.size(); ++i) weights[i] = counts[i] > 0 ? 1 / counts[i] : 0;
  } else {
    SHOAL_ASSIGN_OR_RETURN(weights, GivenWeights(spec, labels));
  }
  double sum = 0;
  for (size_t i = 0; i < labels.size(); ++i) sum += counts[i] * weights[i];
  if (!(sum > 0)) {
    return absl::InvalidArgumentError(
        "loss.class_weights: all labels of the training examples have weight 0");
  }
  std::vector<float> scaled;
  for (double weight : weights) scaled.push_back(static_cast<float>(weight * (all / sum)));
  return scaled;
}

}  // namespace shoal::worker
