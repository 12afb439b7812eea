#include "worker/worker_rounds.h"

#include <limits>
#include <map>
#include <utility>
#include <vector>

#include "catch2/catch.hpp"

namespace shoal::worker {
namespace {

constexpr NodeId kSelf{7};
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Records the calls it gets.
class RecordingLink : public ParameterLink {
 public:
  void SetView(const View&) override {}
  void AskVersions() override { ++asked; }
  void Open(Version) override { ++opened; }
  void Push(BlockContribution contribution) override { pushed.push_back(contribution.header); }
  void Resume() override {}
  void Disconnect() override { ++disconnected; }

  std::vector<SlotRange> TakePushedNodes() {
    std::vector<SlotRange> nodes;
    for (const ContributionHeader& header : std::exchange(pushed, {}))
      nodes.push_back({header.slot_begin(), header.slot_end()});
    return nodes;
  }

  int asked = 0, opened = 0, disconnected = 0;
  std::vector<ContributionHeader> pushed;
};

View MakeView(uint64_t number, SlotRange slots, uint64_t target) {
  View view;
  view.set_job(1);
  view.set_view(number);
  view.add_shards();
  SlotAssignment& assignment = *view.add_slots();
  assignment.mutable_worker()->set_node_id(kSelf.value());
  assignment.set_slot_begin(slots.begin);
  assignment.set_slot_end(slots.end);
  view.mutable_restore()->set_restore_id(3);
  view.mutable_target()->set_restore_id(3);
  view.mutable_target()->set_version(target);
  view.mutable_target()->set_evaluate(EVALUATION_SET_VALIDATION);
  return view;
}

// A job of four slots and one block, whose version 0 has arrived.
struct Job {
  explicit Job(uint64_t target, SlotRange slots = {0, 4}) {
    REQUIRE(rounds.OnView(MakeView(1, slots, target)).ok());
    rounds.OnVersions(ViewId(1), 0, Version(0));
    Receive(1, 0);
  }

  static WorkerRounds::Options MakeOptions(std::vector<NodeReport>* reports) {
    WorkerRounds::Options options;
    options.job = JobId(1);
    options.self = kSelf;
    options.slots = 4;
    options.group_sizes = {8};
    options.report = [reports](NodeReport report) { reports->push_back(std::move(report)); };
    return options;
  }

  void Receive(uint64_t view, uint64_t version) {
    PublishedHeader header;
    header.set_view(view);
    header.set_version(version);
    BlockMemory memory;
    REQUIRE(rounds.OfferBlock(header, &memory) == WorkerCore::Offer::kTake);
    std::fill_n(memory.theta, 8, 0.0f);
    rounds.BlockStored(header);
  }

  // Runs the next slot with this loss, to this end; returns its number.
  uint64_t RunSlot(double loss = 1, const absl::Status& status = absl::OkStatus()) {
    const std::optional<SlotRun> run = rounds.NextSlot();
    REQUIRE(run);
    std::fill_n(rounds.BeginGradient(), 8, 1.0f);
    ContributionStats stats;
    stats.set_weight(1);
    stats.set_loss(loss);
    rounds.SetStats(stats);
    if (const auto reduced = rounds.Reduce(0)) rounds.Hold(*reduced);
    rounds.EndTraining(status);
    return run->slot.value();
  }

  RecordingLink link;
  std::vector<NodeReport> reports;
  WorkerRounds rounds{MakeOptions(&reports), &link};
};

}  // namespace

TEST_CASE(
    "What is held is pushed as soon as it is reduced, again to a shard that comes back, and to a new view") {
  Job job(5);
  for (uint64_t slot = 0; slot < 4; ++slot) CHECK(job.RunSlot() == slot);
  CHECK(job.link.TakePushedNodes() == std::vector<SlotRange>{{0, 4}});
  job.rounds.OnPushReopened(ViewId(1), 0);
  CHECK(job.link.TakePushedNodes() == std::vector<SlotRange>{{0, 4}});
  job.rounds.OnPushReopened(ViewId(9), 0);  // of another view
  CHECK(job.link.TakePushedNodes().empty());
  REQUIRE(job.rounds.OnView(MakeView(2, {0, 4}, 5)).ok());
  CHECK(job.link.TakePushedNodes() == std::vector<SlotRange>{{0, 4}});
  job.Receive(2, 1);  // round 0 is over
  job.rounds.OnPushReopened(ViewId(2), 0);
  CHECK(job.link.TakePushedNodes().empty());
}

TEST_CASE(
    "What is held is bounded by the slots of a round, however often a slot fails after it was reduced") {
  Job job(5);
  CHECK(job.rounds.max_held() == 4);
  const uint64_t last = job.rounds.max_held() + 5;
  for (uint64_t view = 2; view <= last; ++view) {
    for (uint64_t slot = 0; slot < 3; ++slot) CHECK(job.RunSlot() == slot);
    CHECK(job.RunSlot(1, absl::InternalError("the device is gone")) == 3);
    CHECK(job.rounds.held() == 1);
    REQUIRE(job.rounds.OnView(MakeView(view, {0, 4}, 5)).ok());
  }
  for (uint64_t slot = 0; slot < 4; ++slot) CHECK(job.RunSlot() == slot);
  CHECK(job.rounds.held() == 1);
  job.link.TakePushedNodes();
  job.rounds.OnPushReopened(ViewId(last), 0);
  CHECK(job.link.TakePushedNodes() == std::vector<SlotRange>{{0, 4}});
  job.Receive(last, 1);  // round 0 is over
  CHECK(job.rounds.held() == 0);
}

TEST_CASE("Slots taken away in the middle of a unit are not run, and what was reduced is pushed") {
  Job job(5);
  job.RunSlot();
  REQUIRE(job.rounds.OnView(MakeView(2, {0, 1}, 5)).ok());
  const std::optional<SlotRun> next = job.rounds.NextSlot();
  REQUIRE(next);
  CHECK(next->version == Version(1));  // of the next round
  CHECK(job.link.TakePushedNodes() == std::vector<SlotRange>{{0, 1}});
}

TEST_CASE("A slot that has begun and is no longer wanted leaves nothing behind") {
  Job job(5);
  REQUIRE(job.rounds.NextSlot());
  job.rounds.BeginGradient();
  View rewound = MakeView(2, {0, 4}, 5);
  rewound.mutable_restore()->set_restore_id(4);
  REQUIRE(job.rounds.OnView(rewound).ok());
  CHECK_FALSE(job.rounds.Wanted());
  job.rounds.EndTraining(absl::InternalError("the program's memory is full"));
  CHECK(job.link.pushed.empty());
  CHECK(job.reports.empty());  // nor is its error reported
}

TEST_CASE("A training loss that is not finite is reported, not pushed, and stops the worker's slots") {
  for (const auto& [loss, reason] : std::map<double, std::string>{{kInfinity, "the loss is infinite"},
                                                                  {-kInfinity, "the loss is infinite"}}) {
    Job job(5);
    job.RunSlot(loss);
    REQUIRE(job.reports.size() == 1);
    CHECK(job.reports[0].slot_failed().reason() == reason);
  }
  Job job(5);
  job.RunSlot();
  job.RunSlot();
  job.RunSlot();
  CHECK(job.RunSlot(kNan) == 3);
  REQUIRE(job.reports.size() == 1);
  const SlotFailed& failed = job.reports[0].slot_failed();
  CHECK(failed.job() == 1);
  CHECK(failed.restore_id() == 3);
  CHECK(failed.round() == 0);
  CHECK(failed.slot() == 3);
  CHECK(failed.set() == EVALUATION_SET_NONE);
  CHECK(failed.reason() == "the loss is not a number");
  // The good slots of its unit are pushed; no more are run.
  CHECK(job.link.TakePushedNodes() == std::vector<SlotRange>{{0, 2}, {2, 3}});
  CHECK_FALSE(job.rounds.NextSlot());

  SECTION("it is reported again in a new session") {
    job.rounds.OnSessionOpened();
    REQUIRE(job.reports.size() == 2);
    CHECK(job.reports[1].has_slot_failed());
    CHECK_FALSE(job.rounds.NextSlot());
  }
  SECTION("a new view tries again") {
    REQUIRE(job.rounds.OnView(MakeView(2, {0, 4}, 5)).ok());
    CHECK(job.rounds.NextSlot());
  }
  SECTION("a new target tries again") {
    Target target = MakeView(1, {0, 4}, 6).target();
    job.rounds.OnTarget(target);
    CHECK(job.rounds.NextSlot());
  }
}

TEST_CASE("An evaluation loss that is not finite is reported with its set, without statistics") {
  Job job(0);
  const std::optional<SlotRun> run = job.rounds.NextSlot();
  REQUIRE(run);
  REQUIRE(run->set == EVALUATION_SET_VALIDATION);
  EvaluationStatistics statistics;
  statistics.set_loss(kNan);
  job.rounds.EndEvaluation(statistics);
  REQUIRE(job.reports.size() == 1);
  CHECK(job.reports[0].slot_failed().set() == EVALUATION_SET_VALIDATION);
  CHECK(job.reports[0].slot_failed().slot() == 0);
  CHECK_FALSE(job.rounds.NextSlot());
}

TEST_CASE("An error of a slot is reported once, and the worker's slots stop") {
  Job job(5);
  REQUIRE(job.rounds.NextSlot());
  job.rounds.BeginGradient();
  job.rounds.EndTraining(absl::InternalError("the device is gone"));
  REQUIRE(job.reports.size() == 1);
  CHECK(job.reports[0].job_refused().reason() == "round 0, slot 0: the device is gone");
  CHECK_FALSE(job.reports[0].job_refused().fatal());  // another machine may succeed
  CHECK_FALSE(job.rounds.NextSlot());
  CHECK(job.link.pushed.empty());
}

TEST_CASE("A view that can't belong to the job is refused, without effect") {
  Job job(5);
  const auto error = [&](const View& view) { return std::string(job.rounds.OnView(view).message()); };
  View view = MakeView(2, {0, 4}, 5);
  view.clear_shards();
  CHECK(error(view) == "view 2 of job 1: expected at least one shard, got none");
  CHECK(error(MakeView(2, {3, 5}, 5)) == "view 2 of job 1: slots [3,5); the job has 4");
  CHECK(error(MakeView(2, {3, 1}, 5)) == "view 2 of job 1: slots [3,1); the job has 4");
  view = MakeView(2, {0, 1}, 5);
  *view.add_slots() = MakeView(2, {1, 2}, 5).slots(0);
  CHECK(error(view) == "view 2 of job 1: more than one range of slots for this worker");
  CHECK(job.RunSlot() == 0);  // in view 1
  CHECK(job.rounds.view() == ViewId(1));
}

}  // namespace shoal::worker
