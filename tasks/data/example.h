// A job's examples, as read from its files.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/base/encoding.h"

namespace shoal::tasks {

// One record of the data; with format text a whole file, or the piece of it that is in a part.
struct Example {
  std::string text;                 // the text columns (Record.texts) or words, joined with a space
  std::optional<std::string> pair;  // the second text (Record.pair), where examples are pairs
  std::vector<TextSpan> words;      // places of the words in the text; only for a task that reads words
  std::vector<std::string> labels;  // as read by the task (tasks/data/label_reader.h); none with format text
  double target = 0;                // for a task whose labels are numbers
  std::string group;                // the group column; empty without one
  uint32_t file = 0;                // index into ExampleSet.files
  uint64_t line = 0;                // the first of the record, from 1
};

struct ExampleSet {
  std::vector<std::string> files;
  std::vector<Example> examples;  // in order of files and lines

  // "FILE:LINE", for messages.
  std::string Origin(const Example& example) const;
};

}  // namespace shoal::tasks
