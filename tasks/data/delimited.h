// Text files of lines and records: JSONL, TSV and CSV.
#pragma once

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace shoal::tasks {

// A file in memory.
struct TextFile {
  std::string name;  // for messages
  absl::string_view text;
};

using LineVisitor = std::function<absl::Status(absl::string_view line, uint64_t number)>;

// Gets the fields of one record and the number of its first line, from 1. The views are good until it
// returns.
using RecordVisitor = std::function<absl::Status(absl::Span<const absl::string_view> fields, uint64_t line)>;

// All three skip empty lines, and take "\n" and "\r\n" for the end of a line; the last line needs none. An
// error that `visit` returns ends the reading and is returned with "NAME:LINE: " before it.

absl::Status ForEachLine(const TextFile& file, const LineVisitor& visit);

// Tabs part fields; there are no quotes.
absl::Status ForEachTsvRecord(const TextFile& file, const RecordVisitor& visit);

// RFC 4180: commas part fields; a field in double quotes may hold commas, line ends and doubled quotes.
// Errors: INVALID_ARGUMENT, also with the line, when a quote is not closed or stands where none may.
absl::Status ForEachCsvRecord(const TextFile& file, const RecordVisitor& visit);

}  // namespace shoal::tasks
