// A job's examples, as read from its files.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/base/encoding.h"

namespace shoal::tasks {

// One record of the data; with format text a whole file, or the piece of it that is in a part.
struct Example {
  std::string text;                 // the text columns (Record.texts) or words, joined with a space
  std::optional<std::string> pair;  // the second text (Record.pair), where examples are pairs
  std::vector<TextSpan> words;      // places of the words in the text; only for a task that reads words
  // As read by the task (tasks/data/label_reader.h); none without labels. That of a word is empty if it is
  // one of data.ignored_labels.
  std::vector<std::string> labels;
  std::optional<TextSpan> answer;   // place in the pair of one of the labels, the answers to the text
  bool may_lack_answer = false;     // the data have questions without an answer
  std::string id;                   // what the data call the example; empty without such a name
  double target = 0;                // for a task whose labels are numbers
  bool labels_every_token = false;  // of a word: data.labelled_tokens
  std::string group;                // the group column; empty without one
  uint32_t file = 0;                // index into ExampleSet.files
  uint64_t line = 0;                // the first of the record, from 1; 0: the format has no lines
};

struct ExampleSet {
  std::vector<std::string> files;
  std::vector<Example> examples;         // in order of files and lines
  std::set<std::string> ignored_labels;  // those of data.ignored_labels that occur

  // "FILE:LINE", or "FILE: ID", for messages.
  std::string Origin(const Example& example) const;
};

}  // namespace shoal::tasks
