#include "tasks/class_labels.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/base/portable_math.h"

namespace shoal::tasks {

absl::Status CheckNotEmpty(const std::string& label) {
  if (!label.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError("the label (data.label) is empty");
}

absl::StatusOr<std::vector<std::string>> DistinctLabels(const ExampleSet& training, size_t least) {
  std::set<std::string> labels;
  for (const Example& example : training.examples)
    labels.insert(example.labels.begin(), example.labels.end());
  labels.erase("");  // of words that don't count
  if (labels.size() < least) {
    return absl::InvalidArgumentError(absl::StrCat("data.label: expected at least ", least,
                                                   " different labels among the training examples, got ",
                                                   labels.size()));
  }
  return std::vector<std::string>(labels.begin(), labels.end());
}

std::vector<float> Softmax(absl::Span<const float> logits) {
  std::vector<float> values(logits.begin(), logits.end());
  const float largest = *std::max_element(values.begin(), values.end());
  float sum = 0;
  for (float& value : values) sum += value = std::exp(value - largest);
  for (float& value : values) value /= sum;
  return values;
}

int LargestLogit(absl::Span<const float> logits) {
  return static_cast<int>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

double LargestProbability(absl::Span<const float> logits) {
  if (!std::all_of(logits.begin(), logits.end(), [](float logit) { return std::isfinite(logit); })) return 0;
  const double largest = logits[LargestLogit(logits)];
  double sum = 0;
  for (float logit : logits) sum += PortableExp(logit - largest);
  return 1 / sum;
}

}  // namespace shoal::tasks
