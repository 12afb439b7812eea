// What a task makes of the labels that stand in the data.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "tasks/data/example.h"

namespace shoal::tasks {

// What becomes of labels that are rarer than data.min_class_count.
enum class RareLabels {
  kKept,
  kRemoved,             // from their examples, which stay
  kRemovedWithExample,  // an example that is left without a label goes
};

// Immutable; any thread.
class LabelReader {
 public:
  virtual ~LabelReader() = default;

  // An example has any number of labels: its field holds them separated by data.label_separator, or is a JSON
  // array. Otherwise a field is one label.
  virtual bool reads_lists() const { return false; }

  // Gives `example` its labels. `labels`: as they stand in the data, perhaps empty; one, unless
  // reads_lists().
  // Errors: INVALID_ARGUMENT, without file and line, for a label that the task can't use.
  virtual absl::Status ReadLabels(std::vector<std::string> labels, Example* example) const = 0;

  virtual RareLabels rare_labels() const = 0;
};

}  // namespace shoal::tasks
