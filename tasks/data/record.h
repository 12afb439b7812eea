// The columns that a job uses, from one record of a file.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "common/base/encoding.h"
#include "proto/job.pb.h"
#include "tasks/data/label_reader.h"

namespace shoal::tasks {

struct Record {
  std::vector<std::string> texts;   // in the order of data.text; joined with a space, they are the text
  std::vector<std::string> pair;    // likewise of data.pair
  std::vector<std::string> words;   // instead of texts, for a task that reads words
  std::vector<std::string> labels;  // as LabelReader::ReadLabels takes them
  std::string group;
  // As in Example.
  std::optional<TextSpan> answer;
  bool may_lack_answer = false;
  std::string id;
};

// The positions of the columns in a delimited file.
struct ColumnIndexes {
  std::vector<size_t> text, pair;
  size_t label = 0;
  std::optional<size_t> group;
  size_t count = 0;  // number of columns
};

// Errors: INVALID_ARGUMENT when a column is missing (with the nearest name and all columns) or occurs twice.
absl::StatusOr<ColumnIndexes> FindColumns(absl::Span<const absl::string_view> header, const DataSpec& data);

// Errors: INVALID_ARGUMENT when there are more or fewer fields than columns.
absl::StatusOr<Record> RecordFromFields(absl::Span<const absl::string_view> fields,
                                        const ColumnIndexes& columns, const DataSpec& data,
                                        const LabelReader& labels);

// What is wrong with a text that is not JSON, and the number of its byte where that shows, from 1; nullopt
// for JSON.
struct JsonMistake {
  size_t position = 0;
  std::string message;
};
std::optional<JsonMistake> FindJsonMistake(absl::string_view text);

// From a JSON object whose keys are the columns. Values may be strings, numbers or booleans; the label may
// also be an array of them where `labels` reads lists, and the text where it reads words. Instead of an array
// of words or of their labels a string will do, in which white space separates them. Errors: INVALID_ARGUMENT
// when the line is not a JSON object, or a column is missing or has another type.
absl::StatusOr<Record> RecordFromJson(absl::string_view line, const DataSpec& data,
                                      const LabelReader& labels);

}  // namespace shoal::tasks
