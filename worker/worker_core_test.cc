#include "worker/worker_core.h"

#include "catch2/catch.hpp"

namespace shoal::worker {
namespace {

constexpr uint64_t kSelf = 7;
constexpr uint32_t kBlocks = 3;

// A worker core with its view, and the actions it returned.
class Worker {
 public:
  explicit Worker(uint32_t slots = 4) : core({JobId(1), NodeId(kSelf), slots, kBlocks}) {}

  static View MakeView(uint64_t number, SlotRange slots, uint64_t target, uint64_t restore_id = 1) {
    View view;
    view.set_job(1);
    view.set_view(number);
    view.add_shards();
    auto* assignment = view.add_slots();
    assignment->mutable_worker()->set_node_id(kSelf);
    assignment->set_slot_begin(slots.begin);
    assignment->set_slot_end(slots.end);
    view.mutable_restore()->set_restore_id(restore_id);
    view.mutable_target()->set_restore_id(restore_id);
    view.mutable_target()->set_version(target);
    return view;
  }

  // Starts at `version` with all of its blocks here.
  void StartAt(uint64_t version, SlotRange slots, uint64_t target) {
    core.OnView(MakeView(1, slots, target));
    core.OnVersions(ViewId(1), 0, Version(version));
    Receive(1, version);
    core.TakeActions();
  }

  void Receive(uint64_t view, uint64_t version, uint32_t from = 0, uint32_t to = kBlocks) {
    for (uint32_t b = from; b < to; ++b) {
      REQUIRE(core.OfferBlock(ViewId(view), Version(version), BlockId(b)) == WorkerCore::Offer::kTake);
      core.BlockStored(ViewId(view), Version(version), BlockId(b));
    }
  }

  void RunAll() {
    const Work work = core.NextWork();
    REQUIRE(work.kind == Work::Kind::kTrain);
    for (SlotRange unit : work.units) core.UnitDone(work.ticket, unit);
    core.EndWork(work.ticket);
  }

  template <typename T>
  std::vector<T> Take() {
    std::vector<T> out;
    for (auto& action : core.TakeActions()) {
      if (auto* wanted = std::get_if<T>(&action)) out.push_back(*wanted);
    }
    return out;
  }

  WorkerCore core;
};

}  // namespace

TEST_CASE("a new worker starts with the lowest version that any shard has") {
  Worker w;
  View view = Worker::MakeView(1, {0, 4}, 100);
  view.add_shards();
  w.core.OnView(view);
  REQUIRE(w.Take<AskVersions>().size() == 1);
  w.core.OnVersions(ViewId(1), 0, Version(12));
  CHECK(w.Take<OpenStreams>().empty());
  CHECK(w.core.NextWork().kind == Work::Kind::kNone);
  w.core.OnVersions(ViewId(1), 1, Version(11));
  const auto open = w.Take<OpenStreams>();
  REQUIRE(open.size() == 1);
  CHECK(open[0].from == Version(11));
}

TEST_CASE("work may begin while its parameters are still arriving, and is cut into nodes of the slot tree") {
  Worker w(6);
  w.core.OnView(Worker::MakeView(1, {1, 6}, 100));
  w.core.OnVersions(ViewId(1), 0, Version(0));
  const Work work = w.core.NextWork();
  REQUIRE(work.kind == Work::Kind::kTrain);
  CHECK(work.units == std::vector<SlotRange>{{1, 3}, {3, 6}});
  CHECK_FALSE(w.core.HasBlock(Version(0), BlockId(0)));
  w.Receive(1, 0, 0, 1);
  CHECK(w.core.HasBlock(Version(0), BlockId(0)));
  CHECK_FALSE(w.core.HasBlock(Version(0), BlockId(1)));
}

TEST_CASE("contributions are held until the next version has arrived completely") {
  Worker w;
  w.StartAt(5, {0, 4}, 100);
  w.RunAll();
  w.Receive(1, 6, 0, 2);
  CHECK(w.Take<ReleaseHeld>().empty());
  w.Receive(1, 6, 2, 3);
  const auto released = w.Take<ReleaseHeld>();
  REQUIRE(released.size() == 1);
  CHECK(released[0].round == Round(5));
  CHECK(w.core.base() == Version(6));
}

TEST_CASE("slots gained in the middle of a round are run, those done are not run again") {
  Worker w;
  w.StartAt(5, {0, 2}, 100);
  w.RunAll();
  w.Receive(1, 6, 0, 1);  // part of the next version is published already
  const Work ahead = w.core.NextWork();
  REQUIRE(ahead.version == Version(6));
  w.core.OnView(Worker::MakeView(2, {0, 4}, 100));
  CHECK_FALSE(w.core.Wanted(ahead.ticket));
  w.core.EndWork(ahead.ticket);
  const Work work = w.core.NextWork();
  CHECK(work.version == Version(5));
  CHECK(work.units == std::vector<SlotRange>{{2, 4}});
}

TEST_CASE("a new view continues pulling from where the worker is and keeps what it holds") {
  Worker w;
  w.StartAt(5, {0, 4}, 100);
  w.RunAll();
  w.core.OnView(Worker::MakeView(2, {0, 2}, 100));
  const auto actions = w.core.TakeActions();
  REQUIRE(actions.size() == 1);
  REQUIRE(std::holds_alternative<OpenStreams>(actions[0]));
  CHECK(std::get<OpenStreams>(actions[0]).from == Version(6));
}

TEST_CASE("blocks of an older view are dropped") {
  Worker w;
  w.StartAt(5, {0, 4}, 100);
  w.core.OnView(Worker::MakeView(2, {0, 4}, 100));
  CHECK(w.core.OfferBlock(ViewId(1), Version(6), BlockId(0)) == WorkerCore::Offer::kDrop);
  CHECK(w.core.OfferBlock(ViewId(2), Version(6), BlockId(0)) == WorkerCore::Offer::kTake);
  CHECK(w.core.OfferBlock(ViewId(2), Version(6), BlockId(99)) == WorkerCore::Offer::kDrop);
}

TEST_CASE("a fenced worker's late run is cancelled before its parameters are overwritten") {
  Worker w;
  w.StartAt(5, {0, 4}, 100);
  const Work late = w.core.NextWork();
  w.Receive(1, 6);  // others did its slots: round 5 is over
  CHECK_FALSE(w.core.Wanted(late.ticket));
  CHECK(w.core.OfferBlock(ViewId(1), Version(7), BlockId(0)) == WorkerCore::Offer::kWait);
  w.core.EndWork(late.ticket);
  CHECK(w.core.OfferBlock(ViewId(1), Version(7), BlockId(0)) == WorkerCore::Offer::kTake);
}

TEST_CASE("a version two ahead waits until the one in between is complete") {
  Worker w;
  w.StartAt(5, {0, 4}, 100);
  w.Receive(1, 6, 0, 2);
  CHECK(w.core.OfferBlock(ViewId(1), Version(7), BlockId(0)) == WorkerCore::Offer::kWait);
  w.Receive(1, 6, 2, 3);
  CHECK(w.core.OfferBlock(ViewId(1), Version(7), BlockId(0)) == WorkerCore::Offer::kTake);
}

TEST_CASE(
    "a rewind voids runs and held contributions, and a write from before it can't reach the new parameters") {
  Worker w;
  w.StartAt(5, {0, 4}, 100);
  const Work old_run = w.core.NextWork();
  REQUIRE(w.core.OfferBlock(ViewId(1), Version(6), BlockId(0)) == WorkerCore::Offer::kTake);
  w.core.OnView(Worker::MakeView(2, {0, 4}, 100, 2));
  CHECK(w.Take<DropHeld>().size() == 1);
  CHECK_FALSE(w.core.Wanted(old_run.ticket));
  w.core.OnVersions(ViewId(2), 0, Version(4));
  CHECK(w.core.OfferBlock(ViewId(2), Version(4), BlockId(0)) == WorkerCore::Offer::kWait);
  w.core.EndWork(old_run.ticket);
  CHECK(w.core.OfferBlock(ViewId(2), Version(4), BlockId(0)) == WorkerCore::Offer::kWait);
  w.core.BlockStored(ViewId(1), Version(6), BlockId(0));
  CHECK(w.core.OfferBlock(ViewId(2), Version(4), BlockId(0)) == WorkerCore::Offer::kTake);
  CHECK_FALSE(w.core.HasBlock(Version(4), BlockId(0)));
}

TEST_CASE("A worker whose servers' versions can't be of one training reports that, and only then") {
  Worker w;
  View view = Worker::MakeView(1, {0, 2}, 9);
  view.set_training_id(77);
  view.add_shards();  // a second one
  const auto locate = [&](uint64_t first, uint64_t second) {
    w.core.OnVersions(ViewId(1), 0, Version(first));
    w.core.OnVersions(ViewId(1), 1, Version(second));
  };
  w.core.OnView(view);
  locate(3, 4);
  w.core.OnOutOfRange(ViewId(1));  // they have moved on
  locate(5, 5);
  w.core.OnOutOfRange(ViewId(1));  // and again
  SECTION("the lowest moves on too") {
    locate(6, 7);
    CHECK(w.Take<SendReport>().empty());
  }
  SECTION("the lowest has started over: the next time it is the same") {
    locate(0, 6);
    w.core.OnOutOfRange(ViewId(1));
    CHECK(w.Take<SendReport>().empty());
    locate(0, 6);
    w.core.OnOutOfRange(ViewId(1));
    const auto reports = w.Take<SendReport>();
    REQUIRE(reports.size() == 1);
    CHECK(reports[0].report.job_refused().outdated_training() == 77);
  }
}

TEST_CASE(
    "rounds stop at the target; the evaluation is run there, and reported again in a new session, or when "
    "the target comes again") {
  Worker w;
  View view = Worker::MakeView(1, {0, 2}, 6);
  view.mutable_target()->set_evaluate(EVALUATION_SET_VALIDATION);
  w.core.OnView(view);
  w.core.OnVersions(ViewId(1), 0, Version(5));
  w.Receive(1, 5);
  w.RunAll();
  CHECK(w.core.NextWork().kind == Work::Kind::kNone);
  w.Receive(1, 6);
  const Work work = w.core.NextWork();
  REQUIRE(work.kind == Work::Kind::kEvaluate);
  CHECK(work.version == Version(6));
  w.core.TakeActions();
  w.core.SlotEvaluated(work.ticket, Slot(0), {});
  w.core.SlotEvaluated(work.ticket, Slot(1), {});
  w.core.EndWork(work.ticket);
  CHECK(w.Take<SendReport>().size() == 2);
  CHECK(w.core.NextWork().kind == Work::Kind::kNone);
  w.core.OnSessionOpened();
  CHECK(w.Take<SendReport>().size() == 2);
  w.core.OnTarget(view.target());  // the same again: the sender may lack the results
  CHECK(w.Take<SendReport>().size() == 2);

  view.set_view(2);  // another worker died: its evaluation slots too
  view.mutable_slots(0)->set_slot_end(4);
  w.core.OnView(view);
  const Work more = w.core.NextWork();
  CHECK(more.slots == std::vector<Slot>{Slot(2), Slot(3)});
  w.core.EndWork(more.ticket);

  Target next = view.target();
  next.set_version(8);
  w.core.OnTarget(next);
  CHECK(w.core.NextWork().kind == Work::Kind::kTrain);
}

TEST_CASE("a worker without slots leaves the streams, and locates itself again when it gets some") {
  Worker w;
  w.StartAt(5, {0, 4}, 100);
  w.core.OnView(Worker::MakeView(2, {0, 0}, 100));
  CHECK(w.Take<Disconnect>().size() == 1);
  CHECK(w.core.NextWork().kind == Work::Kind::kNone);
  w.core.OnView(Worker::MakeView(3, {0, 1}, 100));
  CHECK(w.Take<AskVersions>().size() == 1);
}

TEST_CASE("a view with slots that the job does not have is dropped") {
  for (SlotRange slots : {SlotRange{0, 5}, SlotRange{3, 2}, SlotRange{4, 0xFFFFFFFF}}) {
    Worker w;
    w.StartAt(5, {0, 4}, 100);
    w.core.OnView(Worker::MakeView(2, slots, 100));
    CHECK(w.core.view() == ViewId(1));
    CHECK(w.core.TakeActions().empty());
    CHECK(w.core.Assigned(Slot(3)));
    CHECK_FALSE(w.core.Assigned(Slot(4)));
  }
}

TEST_CASE("a block still being written when its version is located again is not written twice at once") {
  Worker w;
  w.StartAt(5, {0, 4}, 100);
  REQUIRE(w.core.OfferBlock(ViewId(1), Version(6), BlockId(2)) == WorkerCore::Offer::kTake);
  w.core.OnOutOfRange(ViewId(1));
  w.core.OnVersions(ViewId(1), 0, Version(6));
  CHECK(w.core.OfferBlock(ViewId(1), Version(6), BlockId(2)) == WorkerCore::Offer::kWait);
  CHECK(w.core.OfferBlock(ViewId(1), Version(6), BlockId(1)) == WorkerCore::Offer::kTake);
  w.core.BlockStored(ViewId(1), Version(6), BlockId(2));
  CHECK(w.core.OfferBlock(ViewId(1), Version(6), BlockId(2)) == WorkerCore::Offer::kTake);
}

}  // namespace shoal::worker
