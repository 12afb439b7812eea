// The formats of data files: what records they consist of, and how they are read. Their names, and what a job
// may say about each, and the extension of their files, are in proto/job.proto.
#pragma once

#include <cstdint>
#include <functional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "proto/job.pb.h"
#include "tasks/data/delimited.h"
#include "tasks/data/label_reader.h"
#include "tasks/data/record.h"

namespace shoal::tasks {

// What the files of a format consist of.
enum class RecordKind {
  kColumns,  // records with named or numbered values, of which data.text, data.label and data.group choose
  kNamed,    // records whose values the format itself names
  kOneText,  // a single record, the whole text; a split cuts it into consecutive pieces
};

// Takes the next record of a file, or what is wrong with it, and its first line, from 1, or 0 in a format
// without lines. Returns the error, if there is one, with the name of the file and the line.
using AddRecord = std::function<absl::Status(absl::StatusOr<Record> record, uint64_t line)>;

// Gives the records of `file` to `add`, in order, and returns the first error. A record may span any number
// of lines.
using ReadRecords = absl::Status (*)(const TextFile& file, const DataSpec& data, const LabelReader& labels,
                                     const AddRecord& add);

struct FormatInfo {
  DataFormat format = {};
  RecordKind records = RecordKind::kColumns;
  ReadRecords read = nullptr;
};

// Every format once.
absl::Span<const FormatInfo> Formats();

// The format of a valid job.
const FormatInfo& FormatOf(DataFormat format);

}  // namespace shoal::tasks
