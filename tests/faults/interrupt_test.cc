// `shoal train` interrupted: it stops everything that it has started, and goes on later.
#include <signal.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "catch2/catch.hpp"
#include "common/file.h"
#include "common/test_dir.h"
#include "tests/faults/command.h"

namespace shoal {
namespace {

using Catch::Matchers::Contains;

constexpr char kTiny[] = "configs/jobs/tiny.yaml";
const std::vector<std::string> kLong = {kTiny, "--workers", "2", "--set", "train.epochs=1000"};

TEST_CASE("Ctrl-C stops everything, and --resume goes on to the same bits", "[same bits]") {
  const TestDir whole, broken;
  const std::vector<std::string> job = {
      kTiny, "--workers", "2", "--set", "train.epochs=40", "--set", "evaluation.keep_best=false"};
  REQUIRE(TrainIn(whole, job).ended == "exit status 0");

  const auto process = StartTraining(broken, job);
  WaitForText(broken / "run/metrics.jsonl", "\"round\":100,", process.get());
  process->Signal(SIGINT);
  REQUIRE(process->WaitEnded(absl::Seconds(60)));
  CHECK(process->Ended() == "exit status 130");
  CHECK(ProcessesOf(broken / "run").empty());

  CommandResult result = TrainIn(broken, job);
  CHECK(result.ended == "exit status 2");
  CHECK_THAT(result.output, Contains("--resume"));
  std::vector<std::string> resumed = job;
  resumed.push_back("--resume");
  result = TrainIn(broken, resumed);
  INFO(result.output);
  REQUIRE(result.ended == "exit status 0");
  CHECK(ReportIn(broken)["version"] == ReportIn(broken)["rounds"]);
  for (const char* field : {"parameters_sha256", "examples", "validation", "test"}) {
    INFO(field);
    CHECK(ReportIn(broken)[field] == ReportIn(whole)[field]);
  }
}

TEST_CASE("SIGTERM stops everything, as Ctrl-C does", "[interrupt]") {
  const TestDir dir;
  const auto process = StartTraining(dir, kLong);
  WaitForText(dir / "run/metrics.jsonl", "\"round\":5,", process.get());
  process->Signal(SIGTERM);
  REQUIRE(process->WaitEnded(absl::Seconds(60)));
  CHECK(process->Ended() == "exit status 130");
  CHECK(ProcessesOf(dir / "run").empty());
}

TEST_CASE("A second Ctrl-C does not wait for the daemons, and none outlives it", "[interrupt]") {
  const TestDir dir;
  const auto process = StartTraining(dir, kLong);
  WaitForText(dir / "run/metrics.jsonl", "\"round\":5,", process.get());
  // A worker that does not answer: after one Ctrl-C the daemons get 15 s.
  const std::vector<pid_t> worker = ProcessesOf(dir / "run/work/worker-1");
  REQUIRE(worker.size() == 1);
  REQUIRE(kill(worker[0], SIGSTOP) == 0);
  process->Signal(SIGINT);
  WaitForText(dir / "output", "Stopped at round", process.get());
  process->Signal(SIGINT);
  REQUIRE(process->WaitEnded(absl::Seconds(10)));
  CHECK(process->Ended() == "exit status 130");
  WaitForNoProcess(dir / "run");
}

TEST_CASE("A training that is over leaves no unfinished file behind", "[interrupt]") {
  const TestDir dir;
  REQUIRE(TrainIn(dir, {kTiny, "--servers", "2", "--workers", "2"}).ended == "exit status 0");
  CHECK(UnfinishedFiles(dir / "run") == std::vector<std::string>());
}

TEST_CASE("A job that failed before its first checkpoint does not lock its folder", "[interrupt]") {
  const TestDir dir;
  REQUIRE(TrainIn(dir, {kTiny, "--set", "data.label=lable"}).ended == "exit status 3");
  const CommandResult result = TrainIn(dir, {kTiny, "--set", "train.epochs=1"});
  INFO(result.output);
  CHECK(result.ended == "exit status 0");
  CHECK(ReportIn(dir)["state"] == "completed");
  CHECK_THAT(TrainIn(dir, {kTiny}).output, Contains("holds a training already"));
}

}  // namespace
}  // namespace shoal
