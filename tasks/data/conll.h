// Files of words and their tags in columns, as at the CoNLL shared tasks: a word on each line, and an empty
// line after each sentence.
//
//   # text = Ada saw Paris
//   Ada    B-PER
//   saw    O
//   Paris  B-LOC
#pragma once

#include <cstdint>
#include <functional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "proto/job.pb.h"
#include "tasks/data/delimited.h"
#include "tasks/data/format.h"
#include "tasks/data/label_reader.h"

namespace shoal::tasks {

// Columns are counted from 1, or with negative numbers from the last, which is -1. The last column is that of
// the file's first word.
struct ConllColumns {
  int word = 1;
  int tag = -1;
};

// The views are valid until the visitor returns.
struct TaggedSentence {
  absl::Span<const absl::string_view> words;
  absl::Span<const absl::string_view> tags;  // one for each word
  uint64_t line = 0;                         // of the first word, from 1
};

using SentenceVisitor = std::function<absl::Status(const TaggedSentence& sentence)>;

// Gives the sentences of `file` to `visit`, in order; an error of it stops the function and is returned.
//
// - The first word's line decides for the whole file what separates columns: tabs if it has one, otherwise
//   any white space. Where tabs do, a word may have spaces in it; those around it are removed.
// - A line that is empty, or has only white space, ends a sentence.
// - A line that starts with "-DOCSTART-" is skipped, and ends a sentence too.
// - A line that starts with "# " is a comment, unless it has as many columns as the first word's line: then
//   the word is "#". (The first word is the first on a line that does not start with "# ".)
// - Lines end in "\n" or "\r\n"; the last line needs no end. A byte order mark is skipped.
//
// Errors: INVALID_ARGUMENT, with file and line (AtLine), for a line without the word's or the tag's column,
// or where one of them is empty.
absl::Status ForEachTaggedSentence(const TextFile& file, const ConllColumns& columns,
                                   const SentenceVisitor& visit);

// The columns that a job chooses by their numbers: the word's in data.text, the tag's in data.label. One that
// is not set is the default. Errors: INVALID_ARGUMENT, naming the field, for what is not the number of a
// column, and for more than one in data.text.
absl::StatusOr<ConllColumns> ConllColumnsOf(const DataSpec& data);

// A ReadRecords (tasks/data/format.h): one record for each sentence, with its words in `words` and its tags
// in `labels`. Errors: also those of ConllColumnsOf.
absl::Status ReadConll(const TextFile& file, const DataSpec& data, const LabelReader& labels,
                       const AddRecord& add);

}  // namespace shoal::tasks
