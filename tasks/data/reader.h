// Reads labelled texts from files.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "common/storage/file.h"
#include "proto/job.pb.h"
#include "tasks/data/example.h"
#include "tasks/data/label_reader.h"

namespace shoal::tasks {

// Reads the files, one behind the other, as `data` says (format, columns, label_separator); `labels` is the
// job's task. `data` is that of a completed and valid job (common/job/job_spec.h). A byte order mark is
// skipped; lines may end in "\r\n"; empty lines are skipped.
//
// Errors, with "FILE:LINE: " where there is a line:
//   NOT_FOUND and what else the system says of a file;
//   INVALID_ARGUMENT for a file without examples or that is not UTF-8, a column that is not there (with the
//   columns there are and the nearest name) or twice, a row with more or fewer fields than the header, a line
//   that is no JSON object, a label that the task can't use, a malformed CSV quote.
absl::StatusOr<ExampleSet> ReadExamples(Env* env,
                                        const google::protobuf::RepeatedPtrField<std::string>& files,
                                        const DataSpec& data, const LabelReader& labels);

}  // namespace shoal::tasks
