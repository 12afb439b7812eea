#include "scheduler/view_planner.h"

#include "catch2/catch.hpp"
#include "scheduler/part_harness.h"
#include "scheduler/view_roles.h"

namespace shoal::scheduler {
namespace {

// Servers 1 and 2, workers 3 and 4, all prepared.
struct Cluster {
  JobDefinition job = Definition();
  View current;
  ViewInputs inputs;

  Cluster() {
    for (uint64_t id : {1, 2, 3, 4}) {
      PlannedNode& node = inputs.nodes.emplace_back();
      node.role = id <= 2 ? NODE_ROLE_SERVER : NODE_ROLE_WORKER;
      node.ref.set_node_id(id);
      node.ref.set_name("node-" + std::to_string(id));
      node.prepared = true;
    }
    inputs.current = &current;
    inputs.training = TrainingId(7);
    inputs.job = &job;
    inputs.restore.set_restore_id(1);
  }
  PlannedNode& node(uint64_t id) { return inputs.nodes[id - 1]; }
  void Cut(uint64_t a, uint64_t b) { inputs.cut.insert({{NodeId(a), NodeId(b)}, {NodeId(b), NodeId(a)}}); }
  // From now on the next view is the current one.
  ViewPlan Take() {
    ViewPlan plan = PlanView(inputs);
    REQUIRE(plan.next);
    current = *plan.next;
    inputs.restore.set_restore_id(current.restore().restore_id() + 1);
    return plan;
  }
  bool IsSettled() const { return !PlanView(inputs).next; }
};

std::vector<uint64_t> Ids(const std::vector<NodeRef>& nodes) {
  std::vector<uint64_t> ids;
  for (const NodeRef& node : nodes) ids.push_back(node.node_id());
  return ids;
}

using List = std::vector<uint64_t>;

TEST_CASE("A first view has all prepared nodes, the restore point and the new training") {
  Cluster c;
  c.inputs.restore.set_version(5);
  const ViewPlan plan = c.Take();
  CHECK(plan.placed);
  CHECK(plan.restores);
  CHECK(c.current.view() == 1);
  CHECK(c.current.training_id() == 7);
  CHECK(c.current.restore().version() == 5);
  CHECK(Ids(Primaries(c.current)) == List{1, 2});
  CHECK(Ids(SlotWorkers(c.current)) == List{3, 4});
  CHECK(c.current.slots(1).slot_end() == kSlots);
}

TEST_CASE("While nothing changes no new view follows, unless one is wanted") {
  Cluster c;
  c.Take();
  CHECK(c.IsSettled());
  CHECK(PlanView(c.inputs).placed);
  c.inputs.renew_wanted = true;
  CHECK(c.Take().left_out.empty());
  CHECK(c.current.view() == 2);
  CHECK(c.current.restore().restore_id() == 1);
}

TEST_CASE("A worker that leaves or joins changes the slots and nothing else") {
  Cluster c;
  c.Take();
  SECTION("it leaves") { c.node(4).leaving = true; }
  SECTION("it has refused") { c.node(4).prepared = false; }
  CHECK_FALSE(c.Take().restores);
  CHECK(Ids(SlotWorkers(c.current)) == List{3});
  CHECK(Ids(Primaries(c.current)) == List{1, 2});
  c.node(4).leaving = false;
  c.node(4).prepared = true;
  c.Take();
  CHECK(Ids(SlotWorkers(c.current)) == List{3, 4});
  CHECK(c.current.restore().restore_id() == 1);
}

TEST_CASE("A lost server takes the job to the next restore point; one that joins changes nothing") {
  Cluster c;
  c.node(2).prepared = false;
  c.Take();
  CHECK(Ids(Primaries(c.current)) == List{1});
  c.node(2).prepared = true;
  CHECK(c.IsSettled());
  SECTION("lost") { c.node(1).prepared = false; }
  SECTION("its state must not be continued from") { c.inputs.restore_wanted = true; }
  CHECK(c.Take().restores);
  CHECK(c.current.restore().restore_id() == 2);
  CHECK(Primaries(c.current).back().node_id() == 2);
}

TEST_CASE("A node without progress loses its work, with the reason, if others can do it") {
  Cluster c;
  c.Take();
  c.node(4).suspect = true;
  c.node(4).trouble = "has shown no progress";
  CHECK(c.Take().left_out ==
        std::vector<std::string>{"node-4 has shown no progress: its work goes to others"});
  CHECK(Ids(SlotWorkers(c.current)) == List{3});
  c.node(3).suspect = true;
  c.node(3).trouble = "has shown no progress";
  c.Take();
  CHECK(Ids(SlotWorkers(c.current)) == List{3, 4});  // nobody is better
  CHECK(
      PlanView(c.inputs).reason ==
      "node-3 makes no progress, and nobody else can do its work; node-4 makes no progress, and nobody else "
      "can do its work");
}

TEST_CASE("Two nodes that are cut off from each other do not work together if it can be avoided") {
  Cluster c;
  c.Take();
  c.Cut(4, 1);
  CHECK(c.Take().left_out ==
        std::vector<std::string>{"node-4 and node-1 are cut off from each other: the work of node-4 goes to "
                                 "others"});
  CHECK(Ids(SlotWorkers(c.current)) == List{3});
  c.Cut(3, 1);
  CHECK(c.Take().restores);  // no worker reaches both servers
  CHECK(Ids(Primaries(c.current)) == List{2});
  CHECK(Ids(SlotWorkers(c.current)) == List{3, 4});
}

TEST_CASE("Without a worker, or without a server, the job waits and says so") {
  Cluster c;
  SECTION("worker") {
    c.node(3).prepared = c.node(4).prepared = false;
    CHECK(PlanView(c.inputs).reason == "waits for a worker");
  }
  SECTION("server") {
    c.node(1).prepared = c.node(2).prepared = false;
    CHECK(PlanView(c.inputs).reason == "waits for a server");
  }
  CHECK(c.IsSettled());
  CHECK_FALSE(PlanView(c.inputs).placed);
}

TEST_CASE("Trainings of different clusters, jobs or times have different ids") {
  JobDefinition job = Definition();
  const absl::Time now = absl::FromUnixSeconds(1000);
  const TrainingId none(0), id = NewTrainingId(job, none, now);
  CHECK(NewTrainingId(job, none, now) == id);
  CHECK(NewTrainingId(job, id, now) != id);
  CHECK(NewTrainingId(job, none, now + absl::Nanoseconds(1)) != id);
  job.set_cluster_id("another");
  CHECK(NewTrainingId(job, none, now) != id);
}

}  // namespace
}  // namespace shoal::scheduler
