// docs/job-file.md, from the rules in proto/job.proto.
#pragma once

#include <string>

namespace shoal {

// The reference of all fields as Markdown. A test compares it with the file in docs; `bazel run
// //common/job:job_reference > docs/job-file.md` writes it.
std::string JobReference();

}  // namespace shoal
