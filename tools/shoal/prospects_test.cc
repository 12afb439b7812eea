#include "tools/shoal/prospects.h"

#include <limits>

#include "catch2/catch.hpp"

namespace shoal::tools {
namespace {

using Catch::Matchers::Contains;

// A job that wants one server and `min_workers` workers.
Job JobWith(uint32_t min_workers, uint64_t view) {
  Job job;
  job.set_job(1);
  job.mutable_spec()->mutable_cluster()->set_min_servers(1);
  job.mutable_spec()->mutable_cluster()->set_min_workers(min_workers);
  if (view > 0) job.mutable_view()->set_view(view);
  return job;
}

void AddNode(ClusterStatus* status, NodeRole role, const std::string& name, const std::string& detail) {
  NodeStatus& node = *status->add_nodes();
  node.set_role(role);
  node.mutable_node()->set_name(name);
  node.set_detail(detail);
}

TEST_CASE("More workers than slots are worth a warning") {
  CHECK(IdleWorkersText(4, 4) == "");
  CHECK_THAT(IdleWorkersText(4, 1), Contains("train.slots is 1, so only 1 of the 4 workers can have work"));
}

TEST_CASE("Only nodes that do something are waited for by name, and of many only some") {
  ClusterStatus status;
  AddNode(&status, NODE_ROLE_SERVER, "server-1", "");
  CHECK(BusyNodesText(status) == "");
  for (const char* name : {"worker-1", "worker-2", "worker-3", "worker-4", "worker-5", "worker-6"}) {
    AddNode(&status, NODE_ROLE_WORKER, name, "");
    status.mutable_nodes(status.nodes_size() - 1)->add_activities()->set_detail("reads data.tsv");
    if (status.nodes_size() == 2) CHECK(BusyNodesText(status) == "worker-1: reads data.tsv");
  }
  CHECK_THAT(BusyNodesText(status), Contains("worker-4: reads data.tsv; ...") && !Contains("worker-5"));
}

TEST_CASE(
    "A node is not waited for because of what it receives or updates, or without a word of what it does") {
  ClusterStatus status;
  AddNode(&status, NODE_ROLE_SERVER, "server-1", "");
  const auto add = [&](ActivityKind kind, const std::string& detail) {
    Activity& activity = *status.mutable_nodes(0)->add_activities();
    activity.set_kind(kind);
    activity.set_detail(detail);
  };
  add(ACTIVITY_TRANSFER, "receives contributions; 2 of at most 8192 streams");
  add(ACTIVITY_UPDATE, "updates blocks");
  add(ACTIVITY_RESTORE, "");
  CHECK(BusyNodesText(status) == "");
  add(ACTIVITY_WRITE_CHECKPOINT, "writes a checkpoint");
  CHECK(BusyNodesText(status) == "server-1: writes a checkpoint");
}

TEST_CASE("A training that is stopped says where it will continue") {
  CHECK(StopText(89, 88) == "Stopped at round 89; --resume continues from the checkpoint of version 88");
  CHECK(StopText(9, 0) == "Stopped at round 9; --resume starts again, as there is no checkpoint yet");
  CHECK(StopText(0, 0) == "Stopped before the training could begin");
  CHECK(StopText(0, 88) ==
        "Stopped before the training could begin; --resume continues from the checkpoint of version 88");
}

TEST_CASE("A training whose nodes have ended has no prospects, at once", "[prospects]") {
  Prospects prospects;
  const absl::Time now = absl::UnixEpoch();
  CHECK(prospects.Check(now, {1, 2}, JobWith(2, 0), {}).ok());
  CHECK_THAT(std::string(prospects.Check(now, {0, 2}, JobWith(2, 3), {}).message()),
             Contains("all servers have ended"));
  CHECK_THAT(std::string(prospects.Check(now, {1, 0}, JobWith(2, 3), {}).message()),
             Contains("all workers have ended"));
}

TEST_CASE("A job that has started continues with one worker of two; one that has not waits for both in vain",
          "[prospects]") {
  Prospects prospects;
  const absl::Time now = absl::UnixEpoch();
  CHECK(prospects.Check(now, {1, 1}, JobWith(2, 1), {}).ok());
  CHECK_THAT(std::string(prospects.Check(now, {1, 1}, JobWith(2, 0), {}).message()),
             Contains("needs 2 workers, and only 1 runs"));
}

TEST_CASE("A job that wants more workers than an int can count has no prospects without one", "[prospects]") {
  Prospects prospects;
  const Job job = JobWith(std::numeric_limits<uint32_t>::max(), 0);
  CHECK_THAT(std::string(prospects.Check(absl::UnixEpoch(), {1, 0}, job, {}).message()),
             Contains("all workers have ended"));
  CHECK_THAT(std::string(prospects.Check(absl::UnixEpoch(), {1, 3}, job, {}).message()),
             Contains("needs 4294967295 workers, and only 3 run"));
}

TEST_CASE("A worker that keeps refusing counts as lost after seconds, one that changes its mind does not",
          "[prospects]") {
  Prospects prospects;
  ClusterStatus refused, prepared;
  AddNode(&refused, NODE_ROLE_SERVER, "server-1", "");
  AddNode(&refused, NODE_ROLE_WORKER, "worker-1", "refused job 1: data.tsv is another file");
  AddNode(&prepared, NODE_ROLE_WORKER, "worker-1", "refused job 10: of another job");
  const absl::Time start = absl::UnixEpoch();
  const auto check = [&](int seconds, const ClusterStatus& status) {
    return prospects.Check(start + absl::Seconds(seconds), {1, 1}, JobWith(1, 0), status);
  };
  CHECK(check(0, refused).ok());
  CHECK(check(7, refused).ok());
  CHECK(check(8, prepared).ok());
  CHECK(check(9, refused).ok());
  CHECK(check(16, refused).ok());
  const absl::Status given_up = check(17, refused);
  CHECK(absl::IsUnavailable(given_up));
  CHECK_THAT(std::string(given_up.message()), Contains("worker-1 refused job 1: data.tsv is another file"));
}

}  // namespace
}  // namespace shoal::tools
