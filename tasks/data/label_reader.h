// How a task interprets the labels in the data.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "tasks/data/example.h"

namespace shoal::tasks {

// What happens to labels that are rarer than data.min_class_count.
enum class RareLabels {
  kKept,
  kRemoved,             // from their examples, which are kept
  kRemovedWithExample,  // an example left without a label is removed too
};

// Immutable; any thread.
class LabelReader {
 public:
  virtual ~LabelReader() = default;

  // Whether an example is a sequence of words with a label each; it then reads lists, too.
  virtual bool reads_words() const { return false; }

  // Whether examples have labels at all.
  virtual bool reads_labels() const { return true; }

  // Whether an example has any number of labels: its field contains them separated by data.label_separator,
  // or is a JSON array. Otherwise a field is one label.
  virtual bool reads_lists() const { return false; }

  // Sets the labels of `example`, whose text and words are set already. `labels`: as written in the data,
  // possibly empty; exactly one unless reads_lists(); none unless reads_labels(); with format squad the
  // answers. Errors: INVALID_ARGUMENT, without file and line, for a label that the task can't use.
  virtual absl::Status ReadLabels(std::vector<std::string> labels, Example* example) const = 0;

  virtual RareLabels rare_labels() const = 0;
};

}  // namespace shoal::tasks
