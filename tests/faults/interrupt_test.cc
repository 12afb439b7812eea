// `shoal train` interrupted: it stops everything that it started, and can be resumed later.
#include <signal.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "catch2/catch.hpp"
#include "common/storage/checkpoint.h"
#include "common/storage/file.h"
#include "common/storage/test_dir.h"
#include "tests/faults/command.h"
#include "tests/faults/test_cluster.h"

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

  EndedProcess result = TrainIn(broken, job);
  CHECK(result.ended == "exit status 2");
  CHECK_THAT(result.output, Contains("--resume"));
  std::vector<std::string> resumed = job;
  resumed.push_back("--resume");
  result = TrainIn(broken, resumed);
  INFO(result.output);
  REQUIRE(result.ended == "exit status 0");
  // The nodes of the first run have left: no lease of theirs was waited for.
  for (const char* node : {"server-1", "worker-1", "worker-2"}) {
    CHECK_THAT(PosixEnv()->ReadFile(broken / absl::StrCat("run/logs/", node, ".log")).value(),
               !Contains("does not admit this node yet"));
  }
  CHECK(ReportIn(broken)["version"] == ReportIn(broken)["rounds"]);
  for (const char* field : {"parameters_sha256", "examples", "validation", "test"}) {
    INFO(field);
    CHECK(ReportIn(broken)[field] == ReportIn(whole)[field]);
  }
}

TEST_CASE("Ctrl-C says which checkpoint --resume will continue from", "[interrupt]") {
  const TestDir dir;
  std::vector<std::string> job = {kTiny, "--set", "train.epochs=1000", "--set", "checkpoint.every=20 rounds"};
  const auto process = StartTraining(dir, job);
  WaitForText(dir / "run/metrics.jsonl", "\"round\":110,", process.get());
  process->Signal(SIGINT);
  REQUIRE(process->WaitEnded(absl::Seconds(60)));
  const auto versions = ListCheckpoints(PosixEnv(), dir / "run/checkpoints");
  REQUIRE((versions.ok() && !versions->empty()));
  CHECK_THAT(PosixEnv()->ReadFile(dir / "output").value(),
             Contains(absl::StrCat("; --resume continues from the checkpoint of version ",
                                   versions->back().value(), "\n")));
}

// Some hundred rounds, with one more setting.
std::vector<std::string> TinyWith(const std::string& setting) {
  return {kTiny, "--set", "train.epochs=40", "--set", "evaluation.keep_best=false", "--set", setting};
}

// Starts the training in DIR/run and interrupts it after round 110.
void TrainUntilRound110(const TestDir& dir, const std::vector<std::string>& job) {
  const auto process = StartTraining(dir, job);
  WaitForText(dir / "run/metrics.jsonl", "\"round\":110,", process.get());
  process->Signal(SIGINT);
  REQUIRE(process->WaitEnded(absl::Seconds(60)));
}

TEST_CASE("A training whose folder was moved continues from the checkpoints that are in it", "[interrupt]") {
  const TestDir whole, dir;
  const std::vector<std::string> job = TinyWith("checkpoint.every=50 rounds");
  REQUIRE(TrainIn(whole, job).ended == "exit status 0");
  TrainUntilRound110(dir, job);
  const TestDir other;
  std::filesystem::rename(dir / "run", other / "run");
  std::vector<std::string> resumed = job;
  resumed.push_back("--resume");
  const EndedProcess result = TrainIn(other, resumed);
  INFO(result.output);
  REQUIRE(result.ended == "exit status 0");
  CHECK_THAT(result.output, Contains("was made in " + (dir / "run") + ", and names checkpoints there"));
  CHECK(ReportIn(other)["parameters_sha256"] == ReportIn(whole)["parameters_sha256"]);
  CHECK_FALSE(PosixEnv()->FileExists(dir / "run"));
}

// The files in a folder, with their times of writing.
std::map<std::string, std::filesystem::file_time_type> FilesIn(const std::string& folder) {
  std::map<std::string, std::filesystem::file_time_type> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
    files[entry.path()] = entry.last_write_time();
  return files;
}

TEST_CASE("A copy of a training's folder continues from its own checkpoints, and the original stays as it is",
          "[interrupt]") {
  const TestDir whole, dir, copy;
  const std::vector<std::string> job = TinyWith("checkpoint.every=50 rounds");
  REQUIRE(TrainIn(whole, job).ended == "exit status 0");
  TrainUntilRound110(dir, job);
  const auto original = FilesIn(dir / "run");
  std::filesystem::copy(dir / "run", copy / "run", std::filesystem::copy_options::recursive);
  // A refusal must not make the copy forget what it is.
  const EndedProcess refused = TrainIn(copy, job);
  CHECK(refused.ended == "exit status 2");
  CHECK_THAT(refused.output, Contains("already holds a training"));
  std::vector<std::string> resumed = job;
  resumed.push_back("--resume");
  const EndedProcess result = TrainIn(copy, resumed);
  INFO(result.output);
  REQUIRE(result.ended == "exit status 0");
  CHECK_THAT(result.output, Contains("continues from its newest checkpoint"));
  CHECK(ReportIn(copy)["parameters_sha256"] == ReportIn(whole)["parameters_sha256"]);
  CHECK(FilesIn(dir / "run") == original);
}

TEST_CASE("A copy of a folder whose training has no checkpoint yet writes none to the original",
          "[interrupt]") {
  const TestDir dir, copy;
  const std::vector<std::string> job = TinyWith("checkpoint.every=never");
  TrainUntilRound110(dir, job);
  REQUIRE(ListCheckpoints(PosixEnv(), dir / "run/checkpoints")->empty());
  std::filesystem::copy(dir / "run", copy / "run", std::filesystem::copy_options::recursive);
  const EndedProcess result = TrainIn(copy, job);
  INFO(result.output);
  REQUIRE(result.ended == "exit status 0");
  CHECK_THAT(result.output, Contains("starts from the beginning, as it has no checkpoint"));
  CHECK(ListCheckpoints(PosixEnv(), dir / "run/checkpoints")->empty());
  CHECK_FALSE(ListCheckpoints(PosixEnv(), copy / "run/checkpoints")->empty());
}

TEST_CASE("A training that is resumed without its scheduler's state keeps its metrics, and has none twice",
          "[interrupt]") {
  const TestDir dir;
  std::vector<std::string> job = {kTiny, "--set", "train.epochs=40", "--set", "checkpoint.every=50 rounds"};
  TrainUntilRound110(dir, job);
  std::filesystem::remove_all(dir / "run/state");
  job.push_back("--resume");
  REQUIRE(TrainIn(dir, job).ended == "exit status 0");
  std::ifstream file(dir / "run/metrics.jsonl");
  uint64_t last = 0;
  for (std::string line; std::getline(file, line);) {
    const auto json = nlohmann::json::parse(line);
    if (json["event"] != "log") continue;
    CHECK(json["round"].get<uint64_t>() > last);
    // Written by the first run.
    if (last < 110) CHECK(json["round"].get<uint64_t>() <= last + 5);
    last = json["round"];
  }
  CHECK(last == ReportIn(dir)["rounds"].get<uint64_t>());
}

TEST_CASE("A daemon whose disk hangs ends at SIGTERM in its time all the same, and says so", "[interrupt]") {
  TestCluster::Shape shape;
  const bool server = GENERATE(true, false);
  const std::string daemon = server ? "server-1" : "scheduler";
  if (server) {
    shape.server_flags = {"--fault", "path=checkpoints,error=HANG", "--leave-seconds", "1"};
  } else {
    shape.scheduler_flags = {"--fault", "path=manifest,error=HANG"};
  }
  TestCluster cluster(shape);
  cluster.WaitForRound(cluster.Submit(), 100);  // its first checkpoint is due at 60
  cluster.Signal(daemon, SIGTERM);
  tools::ChildProcess* const process = *cluster.processes().Find(daemon);
  REQUIRE(process->WaitEnded(absl::Seconds(30)));
  CHECK(process->Ended() == "exit status 0");
  CHECK_THAT(PosixEnv()->ReadFile(cluster.processes().LogOf(daemon)).value(),
             Contains("a disk that does not answer"));
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
  WaitForText(dir / "output", "a second Ctrl-C does not wait", process.get());
  process->Signal(SIGINT);
  REQUIRE(process->WaitEnded(absl::Seconds(10)));
  CHECK(process->Ended() == "exit status 130");
  WaitForNoProcess(dir / "run");
}

TEST_CASE("Ctrl-C while the data is being read says at once what is waited for", "[interrupt]") {
  const TestDir dir;
  const auto process =
      StartTraining(dir, {kTiny, "--worker-flag=--fault", "--worker-flag=path=tiny.tsv,error=HANG",
                          "--scheduler-flag=--heartbeat-ms", "--scheduler-flag=100"});
  WaitForText(dir / "output", "worker-1 reads the data", process.get());
  process->Signal(SIGINT);
  WaitForText(dir / "output", "Stopping: waits up to 15s for the daemons to end (worker-1: reads ",
              process.get());
  CHECK_THAT(PosixEnv()->ReadFile(dir / "output").value(),
             Contains("configs/jobs/tiny.tsv); a second Ctrl-C"));
  process->Signal(SIGINT);
  REQUIRE(process->WaitEnded(absl::Seconds(10)));
  CHECK(process->Ended() == "exit status 130");
  WaitForNoProcess(dir / "run");
}

TEST_CASE("Ctrl-C while the scheduler does not come up is not kept waiting", "[interrupt]") {
  const TestDir dir;
  const auto process =
      StartTraining(dir, {kTiny, "--scheduler-flag=--fault", "--scheduler-flag=path=run/state,error=HANG"});
  WaitForText(dir / "run/logs/scheduler.log", "Injecting faults", process.get());
  process->Signal(SIGINT);
  REQUIRE(process->WaitEnded(absl::Seconds(10)));
  CHECK(process->Ended() == "exit status 130");
  CHECK_THAT(PosixEnv()->ReadFile(dir / "output").value(),
             Contains("Stopped before the training could begin"));
  WaitForNoProcess(dir / "run");
}

// The process of a daemon that belongs to the training in DIR/run.
pid_t DaemonIn(const TestDir& dir, const std::string& name) {
  const std::vector<pid_t> found =
      ProcessesOf(dir / (name == "scheduler" ? "run/state" : absl::StrCat("run/work/", name)));
  REQUIRE(found.size() == 1);
  return found[0];
}

TEST_CASE("A training whose only worker or server, or whose scheduler, is killed ends with the reason",
          "[no way on]") {
  for (const std::string name : {"worker-1", "server-1", "scheduler"}) {
    INFO(name);
    const TestDir dir;
    const auto process = StartTraining(dir, {kTiny, "--set", "train.epochs=1000"});
    WaitForText(dir / "run/metrics.jsonl", "\"round\":5,", process.get());
    REQUIRE(kill(DaemonIn(dir, name), SIGKILL) == 0);
    REQUIRE(process->WaitEnded(absl::Seconds(20)));
    CHECK(process->Ended() == "exit status 1");
    const std::string output = PosixEnv()->ReadFile(dir / "output").value();
    CHECK_THAT(output, Contains(absl::StrCat(name, " has ended (signal 9)")));
    CHECK_THAT(output, Contains(absl::StrCat("The logs are in ", dir / "run/logs")));
    CHECK(ProcessesOf(dir / "run").empty());
  }
}

TEST_CASE("A training ends when a worker that it needs refuses for good", "[no way on]") {
  const TestDir dir;
  const EndedProcess result = TrainIn(dir, {kTiny, "--workers", "2", "--worker-flag=--fault",
                                            "--worker-flag=path=worker-2/artifacts,error=ENOSPC"});
  CHECK(result.ended == "exit status 1");
  CHECK_THAT(result.output, Contains("no other node will join: worker-2 refused job 1") &&
                                Contains("No space left on device"));
}

TEST_CASE("A folder in which a training runs is refused to another one, which names the process",
          "[interrupt]") {
  const TestDir dir;
  const auto process = StartTraining(dir, kLong);
  WaitForText(dir / "run/metrics.jsonl", "\"round\":5,", process.get());
  for (const char* flag : {"--json", "--resume"}) {
    const EndedProcess second =
        RunCommand({Program("tools/shoal/shoal"), "train", kTiny, "--out", dir / "run", flag});
    CHECK(second.ended == "exit status 1");
    CHECK_THAT(second.output,
               Contains(absl::StrCat("(process ", process->pid(), ") is using ", dir / "run")));
  }
  process->Signal(SIGINT);
  REQUIRE(process->WaitEnded(absl::Seconds(60)));
  CHECK(process->Ended() == "exit status 130");
}

TEST_CASE("Of three trainings that start in one folder at once, one runs, undisturbed by the others",
          "[interrupt]") {
  const TestDir dir;
  std::vector<std::unique_ptr<tools::ChildProcess>> trainings;
  for (int i = 0; i < 3; ++i) {
    auto process =
        tools::ChildProcess::Start({Program("tools/shoal/shoal"), "train", kTiny, "--out", dir / "run"},
                                   dir / absl::StrCat("output-", i));
    REQUIRE(process.ok());
    trainings.push_back(*std::move(process));
  }
  int completed = 0;
  for (int i = 0; i < 3; ++i) {
    REQUIRE(trainings[i]->WaitEnded(absl::Seconds(120)));
    if (trainings[i]->Ended() == "exit status 0") {
      ++completed;
      continue;
    }
    CHECK(trainings[i]->Ended() == "exit status 1");
    CHECK_THAT(PosixEnv()->ReadFile(dir / absl::StrCat("output-", i)).value(),
               Contains("is using " + dir / "run"));
  }
  CHECK(completed == 1);
  CHECK(ReportIn(dir)["servers"] == 1);
  CHECK(ReportIn(dir)["workers"] == 1);
}

TEST_CASE("A training whose progress reader has gone stops as at Ctrl-C", "[interrupt]") {
  const TestDir dir;
  const EndedProcess result =
      RunCommand({"/bin/bash", "-c",
                  absl::StrCat("set -o pipefail; $0 train ", kTiny, " --set train.epochs=1000 --out ",
                               dir / "run", " 2>&1 | head -1"),
                  Program("tools/shoal/shoal")});
  CHECK(result.ended == "exit status 141");
  CHECK(ProcessesOf(dir / "run").empty());
}

TEST_CASE("A training that is over leaves no unfinished file behind", "[interrupt]") {
  const TestDir dir;
  REQUIRE(TrainIn(dir, {kTiny, "--servers", "2", "--workers", "2"}).ended == "exit status 0");
  CHECK(UnfinishedFiles(dir / "run") == std::vector<std::string>());
}

TEST_CASE("A training that is resumed as another job is told which fields differ", "[interrupt]") {
  const TestDir dir;
  REQUIRE(TrainIn(dir, {kTiny, "--set", "train.epochs=1"}).ended == "exit status 0");
  const EndedProcess result =
      TrainIn(dir, {kTiny, "--resume", "--set", "train.epochs=2", "--set", "train.slots=2"});
  CHECK(result.ended == "exit status 2");
  CHECK_THAT(result.output,
             Contains("train.epochs: 2 here, 1 there") && Contains("train.slots: 2 here, 4 there"));
}

TEST_CASE("A job that failed before its first checkpoint does not lock its folder", "[interrupt]") {
  const TestDir dir;
  REQUIRE(TrainIn(dir, {kTiny, "--set", "data.label=lable"}).ended == "exit status 3");
  const EndedProcess result = TrainIn(dir, {kTiny, "--set", "train.epochs=1"});
  INFO(result.output);
  CHECK(result.ended == "exit status 0");
  CHECK(ReportIn(dir)["state"] == "completed");
  CHECK_THAT(TrainIn(dir, {kTiny}).output, Contains("already holds a training"));
}

}  // namespace
}  // namespace shoal
