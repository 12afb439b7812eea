// The command line with wrong input, broken disks and a Ctrl-C: a clear error, the right exit code, and
// nothing left running.
#include <signal.h>

#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/str_cat.h"
#include "catch2/catch.hpp"
#include "common/file.h"
#include "common/test_dir.h"
#include "tests/faults/command.h"
#include "tests/faults/test_cluster.h"

namespace shoal {
namespace {

using Catch::Matchers::Contains;

constexpr char kTiny[] = "configs/jobs/tiny.yaml";

std::string Write(const TestDir& dir, const std::string& name, const std::string& text) {
  REQUIRE(PosixEnv()->WriteFileAtomic(dir / name, text).ok());
  return dir / name;
}

CommandResult Train(const TestDir& dir, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {Program("tools/shoal/shoal"), "train"});
  arguments.insert(arguments.end(), {"--out", dir / "run"});
  CommandResult result = RunCommand(arguments);
  CHECK(CountProcesses(dir / "run") == 0);
  return result;
}

// A job like tiny.yaml on other data.
CommandResult TrainOn(const TestDir& dir, const std::string& tsv) {
  const std::string data = Write(dir, "data.tsv", tsv);
  return Train(dir, {kTiny, "--set", absl::StrCat("data.files=[", data, "]")});
}

nlohmann::json Report(const TestDir& dir) {
  const auto text = PosixEnv()->ReadFile(dir / "run/report.json");
  REQUIRE(text.ok());
  return nlohmann::json::parse(*text);
}

TEST_CASE("A job file that is no YAML, or has an unknown field, is refused with file, line and field",
          "[bad input]") {
  const TestDir dir;
  CommandResult result = Train(dir, {Write(dir, "job.yaml", "name: [unclosed\n")});
  CHECK(result.ended == "exit status 2");
  CHECK_THAT(result.output, Contains("job.yaml"));
  result = Train(dir, {kTiny, "--set", "train.epoch=3"});
  CHECK(result.ended == "exit status 2");
  CHECK_THAT(result.output, Contains("train.epoch") && Contains("did you mean 'epochs'"));
  CHECK_FALSE(PosixEnv()->FileExists(dir / "run"));
}

TEST_CASE("A job file that is not there is an error", "[bad input]") {
  const TestDir dir;
  const CommandResult result = Train(dir, {dir / "none.yaml"});
  CHECK(result.ended == "exit status 1");
  CHECK_THAT(result.output, Contains("none.yaml") && Contains("No such file"));
}

TEST_CASE("A wrong command line is refused", "[bad input]") {
  CHECK(RunCommand({Program("tools/shoal/shoal"), "trian"}).ended == "exit status 2");
  CHECK(RunCommand({Program("tools/shoal/shoal"), "train", kTiny, "--workers", "0"}).ended ==
        "exit status 2");
  CHECK(RunCommand({Program("worker/shoal-worker"), "--scheduler", "nowhere"}).ended == "exit status 1");
  CHECK(RunCommand({Program("tools/shoal/shoal"), "train", "--help"}).ended == "exit status 0");
}

TEST_CASE("Data files that are missing, or lack a column, fail the job with their names", "[bad input]") {
  const TestDir dir;
  CommandResult result = Train(dir, {kTiny, "--set", absl::StrCat("data.files=[", dir / "none.tsv", "]")});
  CHECK(result.ended == "exit status 3");
  CHECK_THAT(result.output, Contains("none.tsv") && Contains("No such file"));
  const TestDir other;
  result = TrainOn(other, "labels\ttext\na\tsome words\n");
  CHECK(result.ended == "exit status 3");
  CHECK_THAT(result.output, Contains("there is no column 'label'") && Contains("did you mean 'labels'"));
}

TEST_CASE("Data with one class, an empty label, or a label that training lacks, fail the job",
          "[bad input]") {
  std::string one_class = "label\ttext\n";
  for (int i = 0; i < 60; ++i) absl::StrAppend(&one_class, "only\tsome words of example ", i, "\n");
  {
    const TestDir dir;
    const CommandResult result = TrainOn(dir, one_class);
    CHECK(result.ended == "exit status 3");
    CHECK_THAT(result.output, Contains("at least 2 different labels"));
  }
  {
    const TestDir dir;
    const CommandResult result = TrainOn(dir, one_class + "\tan example without a label\n");
    CHECK(result.ended == "exit status 3");
    CHECK_THAT(result.output, Contains("data.tsv:62") && Contains("label"));
  }
  {
    const TestDir dir;
    const std::string dev = Write(dir, "dev.tsv", "label\ttext\nunheard-of\tsome words\n");
    const auto train = AbsolutePath("configs/jobs/tiny.tsv");
    REQUIRE(train.ok());
    const std::string job =
        Write(dir, "job.yaml",
              absl::StrCat("name: tiny\ntask: text-classification\ndata: {train_files: [", *train,
                           "], validation_files: [", dev, "], text: text, label: label}\n",
                           "tokenizer: {vocab_size: 128}\nmodel: {hidden_size: 32}\ntrain: {epochs: 1}\n",
                           "optimizer: {learning_rate: 1e-3}\n"));
    const CommandResult result = Train(dir, {job});
    INFO(result.output);
    CHECK(result.ended == "exit status 3");
    CHECK_THAT(result.output, Contains("dev.tsv:2") && Contains("'unheard-of'"));
  }
}

TEST_CASE("A disk that is full when a checkpoint is written fails the job only when it is the result's",
          "[bad input]") {
  const TestDir dir;
  const CommandResult result =
      Train(dir, {kTiny, "--server-flag=--fault", "--server-flag=path=checkpoints,after=1KiB,error=ENOSPC"});
  CHECK(result.ended == "exit status 3");
  CHECK_THAT(result.output, Contains("could not be written") && Contains("No space left on device"));

  const TestDir other;
  const CommandResult once =
      Train(other, {kTiny, "--server-flag=--fault", "--server-flag=path=checkpoints,nth=4,error=EIO"});
  INFO(once.output);
  CHECK(once.ended == "exit status 0");
  CHECK_THAT(once.output, Contains("Input/output error"));
}

TEST_CASE("A port in use, and an address that others reach, are refused", "[bad input]") {
  const TestDir dir;
  TestCluster cluster({0, 0, 1});
  CommandResult result = RunCommand({Program("scheduler/shoal-scheduler"), "--listen",
                                     cluster.processes().scheduler(), "--state-dir", dir / "state"});
  CHECK(result.ended == "exit status 1");
  CHECK_THAT(result.output, Contains("in use"));
  result = RunCommand(
      {Program("scheduler/shoal-scheduler"), "--listen", "0.0.0.0:0", "--state-dir", dir / "state"});
  CHECK(result.ended == "exit status 1");
  CHECK_THAT(result.output, Contains("--allow-remote"));
}

TEST_CASE("Ctrl-C stops everything, and --resume goes on to the same bits", "[same bits]") {
  const TestDir whole, broken;
  const std::vector<std::string> job = {
      kTiny, "--workers", "2", "--set", "train.epochs=40", "--set", "evaluation.keep_best=false"};
  REQUIRE(Train(whole, job).ended == "exit status 0");

  std::vector<std::string> arguments = {Program("tools/shoal/shoal"), "train"};
  arguments.insert(arguments.end(), job.begin(), job.end());
  arguments.insert(arguments.end(), {"--out", broken / "run"});
  auto process = ChildProcess::Start(arguments, broken / "output");
  REQUIRE(process.ok());
  WaitForText(broken / "run/metrics.jsonl", "\"round\":100,", process->get());
  (*process)->Signal(SIGINT);
  REQUIRE((*process)->WaitEnded(absl::Seconds(60)));
  CHECK((*process)->Ended() == "exit status 130");
  CHECK(CountProcesses(broken / "run") == 0);

  CommandResult result = Train(broken, job);
  CHECK(result.ended == "exit status 2");
  CHECK_THAT(result.output, Contains("--resume"));
  std::vector<std::string> resumed = job;
  resumed.push_back("--resume");
  result = Train(broken, resumed);
  INFO(result.output);
  REQUIRE(result.ended == "exit status 0");
  CHECK(Report(broken)["version"] == Report(broken)["rounds"]);
  for (const char* field : {"parameters_sha256", "examples", "validation", "test"}) {
    INFO(field);
    CHECK(Report(broken)[field] == Report(whole)[field]);
  }
}

TEST_CASE("A cluster is given a job, asked about it, and told to end it", "[cli]") {
  TestCluster cluster({1, 1, 1});
  const auto shoal = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), Program("tools/shoal/shoal"));
    arguments.insert(arguments.end(), {"--scheduler", cluster.processes().scheduler()});
    return RunCommand(arguments);
  };
  const auto json = [&](std::vector<std::string> arguments) {
    arguments.push_back("--json");
    const CommandResult result = shoal(arguments);
    INFO(result.output);
    REQUIRE(result.ended == "exit status 0");
    return nlohmann::json::parse(result.output);
  };

  const std::vector<std::string> submit = {"submit", kTiny, "--request-id", "once"};
  CHECK(json(submit)["job"] == 1);
  CHECK(json(submit)["job"] == 1);  // the same request
  CHECK(cluster.WaitForEnd(JobId(1)).state() == JOB_STATE_COMPLETED);
  const auto jobs = json({"jobs"});
  REQUIRE(jobs.size() == 1);
  CHECK(jobs[0]["state"] == "completed");
  CHECK(jobs[0]["parameters_sha256"].get<std::string>().size() == 64);
  const auto status = json({"status"});
  CHECK(status["nodes"].size() == 2);
  CHECK(status["stalls"].empty());
  CommandResult result = shoal({"logs", "1", "--follow"});
  CHECK(result.ended == "exit status 0");
  CHECK_THAT(result.output, Contains("completed") && Contains("\"evaluation\""));
  const TestDir dir;
  CHECK(shoal({"export", "1", "--out", dir / "model"}).ended == "exit status 0");
  CHECK(RunCommand({Program("tools/shoal/shoal"), "predict", dir / "model", "some words"}).ended ==
        "exit status 0");

  CHECK(shoal({"submit", kTiny, "--set", "train.epochs=1000"}).ended == "exit status 0");
  cluster.WaitForRound(JobId(2), 1);
  result = shoal({"cancel", "2"});
  CHECK(result.ended == "exit status 0");
  CHECK(cluster.WaitForEnd(JobId(2)).state() == JOB_STATE_CANCELLED);
  CHECK(json({"jobs"})[1]["state"] == "cancelled");
  result = shoal({"logs", "7"});
  CHECK(result.ended == "exit status 1");
  CHECK_THAT(result.output, Contains("7"));
}

TEST_CASE("A trained model predicts, is evaluated, and says what it lacks", "[cli]") {
  const TestDir dir;
  REQUIRE(Train(dir, {kTiny}).ended == "exit status 0");
  CHECK(Report(dir)["test"]["accuracy"] >= 0.9);
  const std::string shoal = Program("tools/shoal/shoal"), model = dir / "run/model";
  CommandResult result = RunCommand({shoal, "predict", model, "a ferry arrives at the station before noon"});
  CHECK(result.ended == "exit status 0");
  CHECK_THAT(result.output, Contains("travel"));
  result = RunCommand({shoal, "eval", model, "--data", "configs/jobs/tiny.tsv", "--json"});
  CHECK(result.ended == "exit status 0");
  CHECK(nlohmann::json::parse(result.output)["examples"] == 360);
  result = RunCommand({shoal, "predict", dir / "none", "x"});
  CHECK(result.ended == "exit status 1");
  CHECK_THAT(result.output, Contains("none/config.json"));
}

}  // namespace
}  // namespace shoal
