#include "scheduler/view_rollout.h"

#include "catch2/catch.hpp"
#include "scheduler/part_harness.h"

namespace shoal::scheduler {
namespace {

// Server 1 holds the only shard, workers 2 and 3 two slots each.
View MakeView(uint64_t number, uint64_t restore_id = 1, uint64_t version = 0) {
  View view;
  view.set_job(1);
  view.set_view(number);
  view.mutable_restore()->set_restore_id(restore_id);
  view.mutable_restore()->set_version(version);
  view.add_shards()->mutable_primary()->set_node_id(1);
  for (uint64_t worker : {2, 3}) {
    SlotAssignment& slots = *view.add_slots();
    slots.mutable_worker()->set_node_id(worker);
    slots.set_slot_begin(static_cast<uint32_t>(worker - 2) * 2);
    slots.set_slot_end(slots.slot_begin() + 2);
  }
  return view;
}

struct Fixture : Surroundings {
  ViewRollout rollout{Version(0)};
  Target target;

  Fixture() {
    Join(1, NODE_ROLE_SERVER);
    for (uint64_t worker : {2, 3}) Join(worker, NODE_ROLE_WORKER);
    target.set_job(1);
    target.set_version(10);
    rollout.Begin(MakeView(1));
  }
  void Announce() {
    rollout.Announce(
        members, [](NodeId) { return true; }, target, &out);
  }
  size_t Views(uint64_t node) { return Sent(node, Directive::kView).size(); }
  size_t Targets(uint64_t node) { return Sent(node, Directive::kTarget).size(); }
  ShardProgress Progress(uint64_t view, uint64_t version) {
    ShardProgress report;
    report.set_view(view);
    report.set_version(version);
    return report;
  }
};

TEST_CASE("Servers are told a view first, once; workers when all servers hold it") {
  Fixture f;
  for (int i = 0; i < 2; ++i) f.Announce();
  CHECK(f.Views(1) == 1);
  CHECK(f.Views(2) == 0);
  f.rollout.OnInstalled(NodeId(1), 1);
  CHECK(f.rollout.IsInstalled());
  for (int i = 0; i < 2; ++i) f.Announce();
  CHECK(f.Views(1) == 1);
  CHECK(f.Views(2) == 1);
  CHECK(f.Views(3) == 1);
}

TEST_CASE(
    "A node that holds the view is told only the new target; one that opens a session is told everything "
    "again") {
  Fixture f;
  f.rollout.OnInstalled(NodeId(1), 1);
  f.Announce();
  f.target.set_version(20);
  f.Announce();
  CHECK(f.Views(2) == 1);
  CHECK(f.Targets(2) == 1);
  f.rollout.OnSessionOpened(NodeId(2));
  f.Announce();
  CHECK(f.Views(2) == 2);
  CHECK(f.Views(3) == 1);
  f.rollout.OnPrepared(NodeId(3));  // it has dropped the view
  f.Announce();
  CHECK(f.Views(3) == 2);
}

TEST_CASE("Progress counts from the view of the restore point on") {
  Fixture f;
  CHECK(f.rollout.AddProgress(f.Progress(1, 4)));
  CHECK_FALSE(f.rollout.AddProgress(f.Progress(1, 3)));
  CHECK(f.rollout.LowestVersion() == Version(4));
  f.rollout.Begin(MakeView(2));
  CHECK(f.rollout.LowestVersion() == Version(4));
  CHECK(f.rollout.Accepts(f.Progress(1, 5)));
  f.rollout.WantRestore();
  f.rollout.Begin(MakeView(3, /*restore_id=*/2, /*version=*/2));
  CHECK_FALSE(f.rollout.restore_wanted());
  CHECK(f.rollout.LowestVersion() == Version(2));
  CHECK_FALSE(f.rollout.Accepts(f.Progress(2, 5)));
  CHECK(f.rollout.Accepts(f.Progress(3, 3)));
}

TEST_CASE("A shard's missing slots are those of its last report") {
  Fixture f;
  ShardProgress report = f.Progress(1, 1);
  report.add_missing()->set_slot_begin(1);
  report.mutable_missing(0)->set_slot_end(2);
  f.rollout.AddProgress(report);
  CHECK(f.rollout.Misses({0, 2}));
  CHECK_FALSE(f.rollout.Misses({2, 4}));
  f.rollout.AddProgress(f.Progress(1, 1));
  CHECK_FALSE(f.rollout.Misses({0, 2}));
}

TEST_CASE("The workers of a view are proven by a whole version that only they have contributed to") {
  Fixture f;
  const auto reach = [&](uint64_t view, uint64_t version) {
    f.rollout.AddProgress(f.Progress(view, version));
    return f.rollout.IsProven(f.Progress(view, version));
  };
  CHECK_FALSE(reach(1, 4));
  CHECK_FALSE(reach(1, 5));  // was in progress
  CHECK(reach(1, 6));
  f.rollout.Begin(MakeView(2));
  CHECK_FALSE(reach(1, 7));
  CHECK_FALSE(reach(2, 7));
  CHECK(reach(2, 9));
}

TEST_CASE("A slot counts for a node that has it, or has had it since the restore point") {
  Fixture f;
  CHECK(f.rollout.HasHadSlot(NodeId(2), 1));
  CHECK_FALSE(f.rollout.HasHadSlot(NodeId(2), 2));
  View swapped = MakeView(2);
  std::swap(*swapped.mutable_slots(0)->mutable_worker(), *swapped.mutable_slots(1)->mutable_worker());
  f.rollout.Begin(swapped);
  CHECK(f.rollout.HasHadSlot(NodeId(2), 1));
  CHECK(f.rollout.HasHadSlot(NodeId(2), 2));
  f.rollout.Begin(MakeView(3, /*restore_id=*/2));
  CHECK_FALSE(f.rollout.HasHadSlot(NodeId(2), 2));
}

TEST_CASE("A restart keeps the view and forgets who holds it") {
  Fixture f;
  f.rollout.OnInstalled(NodeId(1), 1);
  f.rollout.WantRestore();
  ViewRollout after{Version(0)};
  after.Load(Stored(f.rollout));
  CHECK(after.view().view() == 1);
  CHECK(after.restore_wanted());
  CHECK_FALSE(after.IsInstalled());
  CHECK(after.HasHadSlot(NodeId(3), 3));
}

}  // namespace
}  // namespace shoal::scheduler
