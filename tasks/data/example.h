// A job's examples, as read from its files.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace shoal::tasks {

// One line of the data; of format text a whole file, or what of it is in a part.
struct Example {
  std::string text;                 // the text columns, joined with a space
  std::vector<std::string> labels;  // as the task wants them (tasks/data/label_reader.h); none of format text
  double target = 0;                // of a task whose labels are numbers
  std::string group;                // the group column; empty without one
  uint32_t file = 0;                // index into ExampleSet.files
  uint64_t line = 0;                // from 1
};

struct ExampleSet {
  std::vector<std::string> files;
  std::vector<Example> examples;  // in the order of the files and lines

  // "FILE:LINE", for messages.
  std::string Origin(const Example& example) const;
};

}  // namespace shoal::tasks
