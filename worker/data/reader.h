// Reads labelled texts from files.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/storage/file.h"
#include "proto/job.pb.h"

namespace shoal::worker {

// One line of the data; of format text a whole file, or what of it is in a part.
struct Example {
  std::string text;                 // the text columns, joined with a space
  std::vector<std::string> labels;  // exactly one, but for multilabel-classification: any number, each once;
                                    // none of format text
  double target = 0;                // text-regression: the label as a number
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

// Reads the files, one behind the other, as job.data says (format, columns, label_separator), for the job's
// task. `job` is completed and valid (common/job/job_spec.h). A byte order mark is skipped; lines may end in
// "\r\n"; empty lines are skipped.
//
// Errors, with "FILE:LINE: " where there is a line:
//   NOT_FOUND and what else the system says of a file;
//   INVALID_ARGUMENT for a file without examples or that is not UTF-8, a column that is not there (with the
//   columns there are and the nearest name) or twice, a row with more or fewer fields than the header, a line
//   that is no JSON object, an empty label, a label of text-regression that is no finite number, a malformed
//   CSV quote.
absl::StatusOr<ExampleSet> ReadExamples(Env* env,
                                        const google::protobuf::RepeatedPtrField<std::string>& files,
                                        const JobSpec& job);

}  // namespace shoal::worker
