// Text files of lines and records: JSONL, TSV and CSV.
#pragma once

#include <cstdint>
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

// `text` without the byte order mark that it may start with.
absl::string_view WithoutByteOrderMark(absl::string_view text);

// `status` with "NAME:LINE: " before its message; "NAME: " for line 0. An OK status stays OK.
absl::Status AtLine(const absl::Status& status, const TextFile& file, uint64_t line);

// Called with a line, which may be empty, and its number, from 1.
using LineVisitor = std::function<absl::Status(absl::string_view line, uint64_t number)>;

// Called with the fields of one record and the number of its first line, from 1. The views are valid until it
// returns.
using RecordVisitor = std::function<absl::Status(absl::Span<const absl::string_view> fields, uint64_t line)>;

// All three accept "\n" and "\r\n" as the end of a line; the last line needs none. An error of `visit` stops
// them and is returned.

absl::Status ForEachLine(const TextFile& file, const LineVisitor& visit);

// Fields are separated by tabs; quotes have no special meaning. Empty lines are skipped.
absl::Status ForEachTsvRecord(const TextFile& file, const RecordVisitor& visit);

// RFC 4180: fields are separated by commas; a field in double quotes may contain commas, line ends and
// doubled quotes. Empty lines are skipped. Errors: INVALID_ARGUMENT, with the line (AtLine), when a quote is
// not closed or is where none is allowed.
absl::Status ForEachCsvRecord(const TextFile& file, const RecordVisitor& visit);

}  // namespace shoal::tasks
