// Files of texts, one on each line, that all have the file's label.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "tasks/data/format.h"

namespace shoal::tasks {

// The label of a file: its name without folders and without the parts between dots that the names of all the
// job's files have; of a single file, without the last part. "pos" for reviews.pos beside reviews.neg.
std::string LabelOfFile(absl::string_view path, const DataSpec& data);

// A ReadRecords: one record for each line that is not blank, without white space around it.
absl::Status ReadLines(const TextFile& file, const DataSpec& data, const LabelReader& labels,
                       const AddRecord& add);

}  // namespace shoal::tasks
