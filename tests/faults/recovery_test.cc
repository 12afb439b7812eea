// Faults that end no process: a scheduler that lost its memory, data that was changed.
#include <signal.h>

#include <functional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "catch2/catch.hpp"
#include "common/clock.h"
#include "common/file.h"
#include "common/test_dir.h"
#include "tests/faults/command.h"
#include "tests/faults/test_cluster.h"

namespace shoal {
namespace {

using Catch::Matchers::Contains;

constexpr char kTiny[] = "configs/jobs/tiny.yaml";
constexpr absl::Duration kDeadline = absl::Seconds(30);

// Asks for the status until it is as `wanted`; fails the test when it is not in time.
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
  cluster.Signal("server-1", SIGSTOP);  // the worker is first to come back, and gets the server's old id
  REQUIRE(cluster.processes().RestartScheduler().ok());
  WaitForStatus(&cluster, [](const ClusterStatus& status) { return HasNode(status, "worker-1"); });
  cluster.Signal("server-1", SIGCONT);
  WaitForStatus(&cluster, [](const ClusterStatus& status) {
    return status.nodes_size() == 2 && HasNode(status, "server-1") && HasNode(status, "worker-1");
  });
  CHECK(cluster.WaitForEnd(cluster.Submit({"train.epochs=1"})).state() == JOB_STATE_COMPLETED);
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
  text += "food\tone more line at the end\n";
  REQUIRE(PosixEnv()->WriteFileAtomic(dir / "data.tsv", text).ok());
  std::vector<std::string> resumed = job;
  resumed.push_back("--resume");
  const CommandResult result = TrainIn(dir, resumed);
  CHECK((result.ended == "exit status 1" || result.ended == "exit status 3"));
  CHECK_THAT(result.output, Contains("data.tsv"));
}

}  // namespace
}  // namespace shoal
