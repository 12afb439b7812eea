// The files shipped with the code agree with it: docs/job-file.md and configs/jobs.
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "catch2/catch.hpp"
#include "common/job/job_reference.h"
#include "common/job/job_yaml.h"

namespace shoal {
namespace {

std::string ReadAll(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  INFO(path);
  REQUIRE(file.good());
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST_CASE("docs/job-file.md matches the rules of job.proto") {
  // When this fails: bazel run //common/job:job_reference > docs/job-file.md
  CHECK(ReadAll("docs/job-file.md") == JobReference());
}

TEST_CASE("Every job in configs is valid, and data shipped with it is where it says") {
  int jobs = 0;
  for (const auto& entry : std::filesystem::directory_iterator("configs/jobs")) {
    if (entry.path().extension() != ".yaml") continue;
    ++jobs;
    const absl::StatusOr<JobSpec> job =
        ParseJob({ReadAll(entry.path()), entry.path().string(), "configs/jobs"});
    CHECK(job.status().message() == "");
    if (job.ok()) CHECK(job->name() == entry.path().stem());
  }
  CHECK(jobs >= 3);
  CHECK(std::filesystem::exists("configs/jobs/tiny.tsv"));
  CHECK(std::filesystem::exists("configs/jobs/tiny-gpt2.txt"));
}

TEST_CASE("The smallest job of the reference is valid") {
  const std::string reference = JobReference();
  const size_t begin = reference.find("```yaml\n") + 8;
  const std::string yaml = reference.substr(begin, reference.find("```\n", begin) - begin);
  CHECK(ParseJob({yaml, "example", ""}).status().message() == "");
}

}  // namespace
}  // namespace shoal
