// Full and broken disks, for each process that writes: a clear error, the right exit code, no half-written
// files.
#include <filesystem>
#include <string>

#include "absl/strings/str_cat.h"
#include "catch2/catch.hpp"
#include "common/storage/fault_env.h"
#include "common/storage/file.h"
#include "common/storage/test_dir.h"
#include "tests/faults/command.h"
#include "tests/faults/test_cluster.h"
#include "tools/shoal/export_job.h"

namespace shoal {
namespace {

using Catch::Matchers::Contains;

constexpr char kTiny[] = "configs/jobs/tiny.yaml";

// A training in which file operations of one daemon fail, and which waits only briefly for them to succeed.
EndedProcess TrainWithFault(const TestDir& dir, const std::string& role, const std::string& fault) {
  const std::string flag = absl::StrCat("--", role, "-flag=");
  return TrainIn(dir, {kTiny, "--set", "train.epochs=2", flag + "--fault", flag + fault,
                       "--scheduler-flag=--storage-patience-ms", "--scheduler-flag=1000"});
}

TEST_CASE("A disk that is full when a checkpoint is written fails the job only when it is the result's",
          "[bad input]") {
  const TestDir dir;
  const EndedProcess result = TrainWithFault(
      dir, "server", absl::StrCat("path=checkpoints,after=1KiB,error=", GENERATE("ENOSPC", "EROFS")));
  INFO(result.output);
  CHECK(result.ended == "exit status 3");
  CHECK_THAT(result.output, Contains("could not be written") && Contains(dir / "run/checkpoints") &&
                                (Contains("No space left on device") || Contains("Read-only file system")));
  CHECK_THAT(result.output, !Contains("trained again"));

  const TestDir other;
  const EndedProcess once =
      TrainIn(other, {kTiny, "--server-flag=--fault", "--server-flag=path=checkpoints,nth=4,error=EIO"});
  INFO(once.output);
  CHECK(once.ended == "exit status 0");
  CHECK_THAT(once.output, Contains("Input/output error"));
}

TEST_CASE("A scheduler whose disk is full takes no artifact, and the job fails with the reason", "[disk]") {
  const TestDir dir;
  const EndedProcess result =
      TrainWithFault(dir, "scheduler", "path=state/artifacts,after=1KiB,error=ENOSPC");
  INFO(result.output);
  CHECK(result.ended == "exit status 3");
  CHECK_THAT(result.output, Contains("No space left on device"));
}

TEST_CASE("A checkpoint that the scheduler can't commit fails the job only when it is the result's",
          "[disk]") {
  const TestDir dir;
  const EndedProcess result = TrainWithFault(dir, "scheduler", "path=manifest,error=ENOSPC");
  INFO(result.output);
  CHECK(result.ended == "exit status 3");
  CHECK_THAT(result.output, Contains("No space left on device"));

  const TestDir other;
  const EndedProcess once = TrainWithFault(other, "scheduler", "path=manifest,nth=1,error=EIO");
  INFO(once.output);
  CHECK(once.ended == "exit status 0");
}

TEST_CASE("A worker whose disk is full can't take part, and the job says why", "[disk]") {
  const TestDir dir;
  const EndedProcess result =
      TrainWithFault(dir, "worker", "path=worker-1/artifacts,after=1KiB,error=ENOSPC");
  INFO(result.output);
  CHECK(result.ended == "exit status 3");
  CHECK_THAT(result.output, Contains("no worker can prepare the job; worker-1 can't take part: storing "
                                     "artifact dataset in --work-dir: " +
                                     dir / "run/work/worker-1/artifacts/") &&
                                Contains("No space left on device"));
}

TEST_CASE("Metrics that can't be written are an error, after the model is there", "[disk]") {
  const TestDir dir;
  REQUIRE(TrainIn(dir, {kTiny, "--set", "data.label=lable"}).ended == "exit status 3");
  std::filesystem::remove(dir / "run/metrics.jsonl");
  std::filesystem::create_symlink("/dev/full", dir / "run/metrics.jsonl");
  const EndedProcess result = TrainIn(dir, {kTiny, "--set", "train.epochs=2"});
  INFO(result.output);
  CHECK(result.ended == "exit status 1");
  CHECK_THAT(result.output, Contains("metrics.jsonl"));
  CHECK(PosixEnv()->FileExists(dir / "run/model/model.safetensors"));
}

TEST_CASE("A report that can't be written is an error that names it", "[disk]") {
  const TestDir dir;
  const auto process = StartTraining(dir, {kTiny});
  WaitForText(dir / "run/metrics.jsonl", "\"round\":5,", process.get());
  std::filesystem::create_directories(dir / "run/report.json/in the way");
  REQUIRE(process->WaitEnded(absl::Seconds(60)));
  CHECK(process->Ended() == "exit status 1");
  CHECK_THAT(PosixEnv()->ReadFile(dir / "output").value(), Contains("report.json"));
}

TEST_CASE("An export on a full disk says so, and works once there is room", "[disk]") {
  TestCluster cluster({1, 1, 1});
  const Job job = cluster.WaitForEnd(cluster.Submit({"train.epochs=2", "evaluation.every=1 epoch"}));
  INFO(job.reason());
  REQUIRE(job.state() == JOB_STATE_COMPLETED);
  const TestDir dir;
  FaultEnv env(PosixEnv(), {{"model", 0, 4096, ENOSPC}});
  const auto export_job = [&] {
    return tools::ExportJob(&env, &cluster.client(), job, job.result().checkpoint(), dir / "model");
  };
  const absl::Status full = export_job();
  CHECK_THAT(std::string(full.message()),
             Contains("No space left on device") && Contains(dir / ".model.partial"));
  CHECK(PosixEnv()->ListDir(dir.path()).value().empty());
  env.SetRules({});
  CHECK(export_job().ok());
  CHECK(UnfinishedFiles(dir.path()) == std::vector<std::string>());
}

}  // namespace
}  // namespace shoal
