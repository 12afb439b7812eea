// Reads labelled texts from files.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "common/storage/file.h"
#include "proto/job.pb.h"
#include "tasks/data/example.h"
#include "tasks/data/label_reader.h"

namespace shoal::tasks {

// Reads the files in order, as `data` says (format, columns, label_separator); `labels` is the job's task.
// `data` is that of a completed and valid job (common/job/job_spec.h). A byte order mark is skipped; lines
// may end in "\r\n"; in formats with columns, empty lines are skipped. Formats: tasks/data/format.h.
//
// Errors, with "FILE:LINE: " where there is a line:
//   NOT_FOUND and other errors of the system for a file;
//   INVALID_ARGUMENT for a file that has no examples or is not UTF-8, a column that is missing (listing the
//   existing columns and the nearest name) or occurs twice, a row with more or fewer fields than the header,
//   a line that is not a JSON object, a label that the task can't use, a malformed CSV quote.
absl::StatusOr<ExampleSet> ReadExamples(Env* env,
                                        const google::protobuf::RepeatedPtrField<std::string>& files,
                                        const DataSpec& data, const LabelReader& labels);

}  // namespace shoal::tasks
