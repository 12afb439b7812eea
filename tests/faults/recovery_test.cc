// Faults other than the death of a process: a scheduler without its state, an address that nobody serves, a
// damaged checkpoint, losses that are not numbers.
#include <signal.h>

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "catch2/catch.hpp"
#include "common/base/clock.h"
#include "common/base/sha256.h"
#include "common/storage/checkpoint.h"
#include "common/storage/file.h"
#include "common/storage/test_dir.h"
#include "tests/faults/command.h"
#include "tests/faults/test_cluster.h"

namespace shoal {
namespace {

using Catch::Matchers::Contains;

constexpr char kTiny[] = "configs/jobs/tiny.yaml";
constexpr absl::Duration kDeadline = absl::Seconds(30);

// Polls the status until it satisfies `wanted`; fails the test when that takes too long.
void WaitForStatus(TestCluster* cluster, const std::function<bool(const ClusterStatus&)>& wanted) {
  const absl::Time deadline = MonotonicNow() + kDeadline;
  absl::StatusOr<ClusterStatus> status;
  do {
    status = cluster->client().GetStatus();
    INFO((status.ok() ? status->DebugString() : status.status().ToString()));
    REQUIRE(MonotonicNow() < deadline);
  } while (!status.ok() || !wanted(*status));
}

bool HasNode(const ClusterStatus& status, const std::string& name) {
  for (const NodeStatus& node : status.nodes()) {
    if (node.node().name() == name) return true;
  }
  return false;
}

TEST_CASE("A scheduler that lost its memory gets both nodes back under their names, and runs a job",
          "[recovery]") {
  TestCluster cluster({1, 1, 1});
  WaitForStatus(&cluster, [](const ClusterStatus& status) { return status.nodes_size() == 2; });
  cluster.Signal("scheduler", SIGKILL);
  REQUIRE((*cluster.processes().Find("scheduler"))->WaitEnded(kDeadline));
  REQUIRE(PosixEnv()->DeleteTree(JoinPath(cluster.folder(), "state")).ok());
  cluster.Signal("server-1", SIGSTOP);  // the worker comes back first and gets the server's old id
  REQUIRE(cluster.processes().RestartScheduler().ok());
  WaitForStatus(&cluster, [](const ClusterStatus& status) { return HasNode(status, "worker-1"); });
  cluster.Signal("server-1", SIGCONT);
  WaitForStatus(&cluster, [](const ClusterStatus& status) {
    return status.nodes_size() == 2 && HasNode(status, "server-1") && HasNode(status, "worker-1");
  });
  CHECK(cluster.WaitForEnd(cluster.Submit({"train.epochs=1"})).state() == JOB_STATE_COMPLETED);
}

TEST_CASE("A server that nobody reaches is named, with who tried and why, by status and submit --wait",
          "[recovery]") {
  TestCluster::Shape shape;
  shape.server_flags = {"--advertise", "127.0.0.1:1"};
  TestCluster cluster(shape);
  const TestDir dir;
  const auto submit = tools::ChildProcess::Start({Program("tools/shoal/shoal"), "submit", kTiny, "--wait",
                                                  "--scheduler", cluster.processes().scheduler()},
                                                 dir / "output");
  REQUIRE(submit.ok());
  const auto names_it = [](const std::string& text) {
    return absl::StrContains(text, "worker-1") && absl::StrContains(text, "server-1") &&
           absl::StrContains(text, "127.0.0.1:1") && absl::StrContains(text, "connection refused");
  };
  WaitForStatus(&cluster, [&](const ClusterStatus& status) {
    return std::any_of(status.stalls().begin(), status.stalls().end(), names_it);
  });
  WaitForText(dir / "output", "127.0.0.1:1", submit->get());
  CHECK(names_it(PosixEnv()->ReadFile(dir / "output").value()));
}

TEST_CASE("A daemon that asks for the name of a living node is told whose it is, and tries on",
          "[recovery]") {
  TestCluster cluster({1, 1, 1});
  WaitForStatus(&cluster, [](const ClusterStatus& status) { return HasNode(status, "worker-1"); });
  const TestDir dir;
  for (const char* daemon : {"server/shoal-server", "worker/shoal-worker"}) {
    const std::string output = dir / absl::StrCat(BaseName(daemon), ".log");
    const auto second =
        tools::ChildProcess::Start({Program(daemon), "--scheduler", cluster.processes().scheduler(), "--name",
                                    "worker-1", "--work-dir", dir / "work"},
                                   output);
    REQUIRE(second.ok());
    WaitForText(output, "the name worker-1 is taken by node ", second->get());
    (*second)->Signal(SIGTERM);
    CHECK((*second)->WaitEnded(absl::Seconds(30)));
  }
  CHECK(cluster.WaitForEnd(cluster.Submit({"train.epochs=1"})).state() == JOB_STATE_COMPLETED);
}

void FlipByte(const std::string& path) {
  auto bytes = PosixEnv()->ReadFile(path);
  REQUIRE(bytes.ok());
  (*bytes)[bytes->size() / 2] ^= 0x10;
  REQUIRE(PosixEnv()->WriteFileAtomic(path, *bytes).ok());
}

TEST_CASE("A job whose newest checkpoint is damaged goes on from the one before, and the bits are the same",
          "[recovery]") {
  TestCluster cluster({2, 1, 1});
  const JobId job = cluster.Submit();
  cluster.WaitForEvent(job, [](const JobEvent& event) { return event.checkpoint() >= 120; });
  cluster.Signal("worker-1", SIGSTOP);  // so that no newer checkpoint is written
  const auto running = cluster.client().GetJob(job);
  REQUIRE(running.ok());
  const std::string folder = running->checkpoint_dir();
  const auto versions = ListCheckpoints(PosixEnv(), folder);
  REQUIRE(versions.ok());
  REQUIRE(versions->size() >= 2);
  const std::string newest = CheckpointName(versions->back());
  const auto files = PosixEnv()->ListDir(JoinPath(folder, newest));
  REQUIRE(files.ok());
  for (const std::string& file : *files) {
    if (absl::StartsWith(file, "shard-")) FlipByte(JoinPath(JoinPath(folder, newest), file));
  }
  cluster.Signal("server-1", SIGKILL);
  cluster.Signal("worker-1", SIGCONT);
  CheckSameBits(cluster.WaitForEnd(job));
  std::string messages;
  uint64_t after = 0;
  CHECK(cluster.client()
            .Watch(job, &after, kDeadline,
                   [&](const JobEvent& event) {
                     absl::StrAppend(&messages, event.message(), "\n");
                     return true;
                   })
            .ok());
  CHECK_THAT(messages, Contains(absl::StrCat("version ", versions->back().value())) && Contains("damaged"));
}

TEST_CASE("A job waits for checkpoints that are not mounted, says so, and goes on from them to the same bits",
          "[recovery]") {
  TestCluster cluster({2, 1, 1});
  const JobId job = cluster.Submit();
  cluster.WaitForEvent(job, [](const JobEvent& event) { return event.checkpoint() >= 60; });
  cluster.Signal("worker-1", SIGSTOP);  // so that nothing is written
  const auto running = cluster.client().GetJob(job);
  REQUIRE(running.ok());
  const std::string folder = running->checkpoint_dir();
  REQUIRE(PosixEnv()->Rename(folder, folder + "-elsewhere").ok());
  REQUIRE(PosixEnv()->CreateDirs(folder).ok());
  cluster.Signal("server-1", SIGKILL);
  cluster.Signal("worker-1", SIGCONT);
  WaitForStatus(&cluster, [&](const ClusterStatus& status) {
    return std::any_of(status.stalls().begin(), status.stalls().end(), [&](const std::string& stall) {
      return absl::StrContains(stall, "server-2") && absl::StrContains(stall, folder) &&
             absl::StrContains(stall, "mount it");
    });
  });
  const auto waiting = cluster.client().GetJob(job);
  REQUIRE(waiting.ok());
  CHECK(waiting->checkpoints_size() >= 1);
  REQUIRE(PosixEnv()->DeleteTree(folder).ok());
  REQUIRE(PosixEnv()->Rename(folder + "-elsewhere", folder).ok());
  CheckSameBits(cluster.WaitForEnd(job));
  CHECK(cluster.client().GetJob(job)->view().restore().version() >= 60);
}

TEST_CASE("Artifacts that rot at the scheduler are derived again, for workers that come later",
          "[recovery]") {
  TestCluster cluster({1, 1, 1});
  const JobId job = cluster.Submit();
  cluster.WaitForRound(job, 20);
  const std::string artifacts = JoinPath(cluster.folder(), "state/artifacts");
  const auto names = PosixEnv()->ListDir(artifacts);
  REQUIRE(names.ok());
  REQUIRE_FALSE(names->empty());
  for (const std::string& name : *names) FlipByte(JoinPath(artifacts, name));
  REQUIRE(cluster.processes().AddWorker().ok());
  cluster.WaitForEvent(job,
                       [](const JobEvent& event) { return absl::StrContains(event.message(), "derived"); });
  CheckSameBits(cluster.WaitForEnd(job));
}

TEST_CASE("A loss that is not a number ends the job, with the round, the slot and the best finite model",
          "[recovery]") {
  const TestDir dir;
  const EndedProcess result =
      TrainIn(dir, {kTiny, "--set", "optimizer={type: sgd, learning_rate: 0.5, weight_decay: 10}", "--set",
                    "schedule={type: constant}", "--set", "evaluation.every=4 rounds"});
  CHECK(result.ended == "exit status 3");
  CHECK_THAT(result.output, Contains("not a number") && Contains("round ") && Contains("slot "));
  const nlohmann::json report = ReportIn(dir);
  CHECK(report["state"] == "failed");
  uint64_t best = 0;
  for (const auto& evaluation : report["validation"]) {
    if (!evaluation["best"]) continue;
    CHECK(evaluation["loss"].is_number());
    best = evaluation["round"];
  }
  CHECK(best > 0);
  CHECK(PosixEnv()->FileExists(dir / absl::StrCat("run/checkpoints/version-", best)));
  CHECK_FALSE(PosixEnv()->FileExists(dir / "run/model"));  // a failed job exports nothing
}

TEST_CASE("A training whose data was changed is not resumed, and ends with the reason", "[recovery]") {
  const TestDir dir;
  std::string text = PosixEnv()->ReadFile("configs/jobs/tiny.tsv").value();
  REQUIRE(PosixEnv()->WriteFileAtomic(dir / "data.tsv", text).ok());
  const std::vector<std::string> job = {kTiny, "--set", absl::StrCat("data.files=[", dir / "data.tsv", "]"),
                                        "--set", "train.epochs=1000"};
  const auto process = StartTraining(dir, job);
  WaitForText(dir / "run/metrics.jsonl", "\"round\":100,", process.get());
  process->Signal(SIGINT);
  REQUIRE(process->WaitEnded(absl::Seconds(60)));
  const std::string before = Sha256Hex(text);
  text += "food\tone more line at the end\n";
  REQUIRE(PosixEnv()->WriteFileAtomic(dir / "data.tsv", text).ok());
  std::vector<std::string> resumed = job;
  resumed.push_back("--resume");
  const EndedProcess result = TrainIn(dir, resumed);
  CHECK((result.ended == "exit status 1" || result.ended == "exit status 3"));
  CHECK_THAT(result.output, Contains("data.tsv") && Contains(before) && Contains(Sha256Hex(text)));
}

}  // namespace
}  // namespace shoal
