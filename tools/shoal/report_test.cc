#include "tools/shoal/report.h"

#include <cstdio>
#include <cstdlib>
#include <string>

#include "catch2/catch.hpp"

namespace shoal::tools {
namespace {

using Catch::Matchers::Contains;

Job QueuedJob() {
  Job job;
  job.set_job(1);
  job.set_name("tiny");
  job.set_state(JOB_STATE_QUEUED);
  return job;
}

std::string Printed(const Job& job) {
  char* text = nullptr;
  size_t size = 0;
  std::FILE* const out = open_memstream(&text, &size);
  PrintJobs({job}, out);
  std::fclose(out);
  const std::string printed(text, size);
  std::free(text);
  return printed;
}

TEST_CASE("What a job does not have yet is null, and a dash for people") {
  Job job = QueuedJob();
  for (const char* field : {"rounds", "loss", "examples_per_second", "ended_unix_ms"}) {
    INFO(field);
    CHECK(JobJson(job)[field].is_null());
  }
  CHECK_THAT(Printed(job), Contains(" -  ") && !Contains("0.0000") && !Contains("0/0"));
  job.set_rounds(10);
  job.set_loss(0.5);
  job.set_examples_per_second(100);
  CHECK(JobJson(job)["rounds"] == 10);
  CHECK(JobJson(job)["loss"] == 0.5);
  CHECK(JobJson(job)["examples_per_second"] == 100);
  CHECK_THAT(Printed(job), Contains("0/10    0.5000"));
}

TEST_CASE("The report of a job without a result has all of its fields, and null for what it lacks") {
  Job job = QueuedJob();
  job.set_state(JOB_STATE_FAILED);
  for (const char* field : {"parameters_sha256", "version", "rounds", "seconds", "examples_per_second"}) {
    INFO(field);
    REQUIRE(ReportJson(job).contains(field));
    CHECK(ReportJson(job)[field].is_null());
  }
  job.mutable_result()->set_examples(100);
  job.mutable_result()->set_train_seconds(2);
  CHECK(ReportJson(job)["examples_per_second"] == 50);
  CHECK(ReportJson(job)["stopped_early"] == false);
}

TEST_CASE("A node without a job has null in its place") {
  ClusterStatus status;
  status.add_nodes();
  status.add_nodes()->set_job(3);
  const Json nodes = StatusJson(status)["nodes"];
  CHECK(nodes[0]["job"].is_null());
  CHECK(nodes[1]["job"] == 3);
}

}  // namespace
}  // namespace shoal::tools
