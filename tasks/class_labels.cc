#include "tasks/class_labels.h"

#include <set>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace shoal::tasks {

absl::Status CheckNotEmpty(const std::string& label) {
  if (!label.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError("the label (data.label) is empty");
}

absl::StatusOr<std::vector<std::string>> DistinctLabels(const ExampleSet& training, size_t least) {
  std::set<std::string> labels;
  for (const Example& example : training.examples)
    labels.insert(example.labels.begin(), example.labels.end());
  if (labels.size() < least) {
    return absl::InvalidArgumentError(absl::StrCat("data.label: expected at least ", least,
                                                   " different labels among the training examples, got ",
                                                   labels.size()));
  }
  return std::vector<std::string>(labels.begin(), labels.end());
}

}  // namespace shoal::tasks
