// A job file of any bytes; assignments follow it after a zero byte, separated by zero bytes. Asserted: a job
// that was read is complete and valid, and prints to a text that reads back as the same job.
#include "common/job/job_yaml.h"

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "common/base/status.h"
#include "common/job/job_print.h"
#include "common/job/job_spec.h"
#include "common/job/schedule.h"

namespace shoal {
namespace {

constexpr TrainingLength kLength = {100, 10};

void CheckJob(const JobSpec& job) {
  SHOAL_CHECK_OK(ValidateJob(job));
  JobSpec completed = job;
  CompleteJob(&completed);
  SHOAL_CHECK(completed.SerializeAsString() == job.SerializeAsString());
  const std::string text = PrintJob(job);
  const auto again = ParseJob({text, "printed", ""});
  SHOAL_CHECK_OK(again);
  SHOAL_CHECK(again->SerializeAsString() == job.SerializeAsString());
  SHOAL_CHECK(PrintJob(*again) == text);
  SHOAL_CHECK(NumericsText(*again) == NumericsText(job));
  if (!CheckLength(job, kLength).ok()) return;
  for (uint64_t round : {uint64_t{0}, uint64_t{99}}) {
    const double rate = LearningRate(job, kLength, Round(round));
    SHOAL_CHECK(rate >= 0 && rate <= job.optimizer().learning_rate() * (1 + 1e-9));
  }
}

}  // namespace
}  // namespace shoal

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace shoal;
  const std::vector<std::string> parts =
      absl::StrSplit(absl::string_view(reinterpret_cast<const char*>(data), size), '\0');
  JobOverrides overrides;
  overrides.assignments.assign(parts.begin() + 1, parts.end());
  overrides.folder = "overrides";
  const auto job = ParseJob({parts[0], "job.yaml", "folder"}, overrides);
  if (!job.ok()) {
    SHOAL_CHECK(job.status().code() == absl::StatusCode::kInvalidArgument);
    return 0;
  }
  CheckJob(*job);
  return 0;
}
