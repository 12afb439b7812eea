#include "worker/job_worker.h"

#include <algorithm>
#include <atomic>
#include <limits>
#include <map>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "catch2/catch.hpp"
#include "common/base/large_memory.h"
#include "common/base/timer_queue.h"
#include "common/protocol/coverage.h"

namespace shoal::worker {
namespace {

const std::vector<uint64_t> kGroups = {40, 7, 16};
constexpr uint32_t kSlots = 5;
constexpr uint64_t kElements = 63;

// A stand-in for the model: the gradient is a simple function of (θ, round, slot).
class TestProgram : public Program {
 public:
  absl::Status RunSlot(const SlotTask& task) override {
    uint64_t offset = 0;
    for (size_t group = 0; group < kGroups.size(); ++group) {
      if (!task.wait_group(static_cast<int>(group))) return absl::CancelledError("not wanted");
      for (uint64_t i = offset; i < offset + kGroups[group]; ++i) {
        task.gradient[i] = task.theta[i] * 0.25f +
                           1.0f / static_cast<float>(1 + i + 3 * task.slot.value() + task.round.value());
      }
      offset += kGroups[group];
    }
    ContributionStats stats;
    stats.set_weight(2);
    task.set_stats(stats);
    for (int group = static_cast<int>(kGroups.size()) - 1; group >= 0; --group) task.group_final(group);
    return absl::OkStatus();
  }
  absl::StatusOr<EvaluationStatistics> EvaluateSlot(const EvaluationTask& task) override {
    EvaluationStatistics statistics;
    statistics.set_examples(1);
    statistics.set_loss(task.theta[task.slot.value()]);
    return statistics;
  }
};

// All servers in one: the ledger of every block, plain SGD, and publishing to every link.
class TestServers {
 public:
  class Link;
  TestServers() : theta_(kElements, 1.0f), previous_(kElements), blocks_(CutBlocks(kGroups)) {
    for (size_t b = 0; b < blocks_.size(); ++b) state_.emplace_back();
  }

  void Push(const BlockContribution& c) {
    absl::MutexLock lock(&mutex_);
    BlockState& block = state_[c.header.block()];
    if (c.header.round() != block.version) return;
    const auto merge = [](std::vector<float> left, std::vector<float> right) {
      for (size_t i = 0; i < left.size(); ++i) left[i] += right[i];
      return left;
    };
    block.coverage.Add({c.header.slot_begin(), c.header.slot_end()},
                       std::vector<float>(c.values, c.values + c.size), merge);
    if (block.coverage.complete()) Apply(c.header.block());
  }
  // Waits for version `from` of `block`, which must be one of its last two; false once `cancelled`.
  bool WaitFor(uint32_t block, uint64_t from, const bool& cancelled, std::vector<float>* values) {
    absl::MutexLock lock(&mutex_);
    while (!cancelled && state_[block].version < from) changed_.Wait(&mutex_);
    if (cancelled) return false;
    const std::vector<float>& source = state_[block].version == from ? theta_ : previous_;
    const BlockSpec& spec = blocks_[block];
    values->assign(source.begin() + spec.offset, source.begin() + spec.offset + spec.size);
    return true;
  }
  void Wake(bool* flag) {
    absl::MutexLock lock(&mutex_);
    *flag = true;
    changed_.SignalAll();
  }
  std::vector<float> WaitForVersion(uint64_t version) {
    absl::MutexLock lock(&mutex_);
    const absl::Time deadline = absl::Now() + absl::Seconds(20);
    while (true) {
      bool all = true;
      for (const BlockState& block : state_) all = all && block.version >= version;
      if (all) return theta_;
      if (changed_.WaitWithDeadline(&mutex_, deadline)) FAIL("no progress in 20 s");
    }
  }
  size_t blocks() const { return blocks_.size(); }
  uint64_t lowest() {
    absl::MutexLock lock(&mutex_);
    uint64_t lowest = state_[0].version;
    for (const BlockState& block : state_) lowest = std::min(lowest, block.version);
    return lowest;
  }

 private:
  struct BlockState {
    uint64_t version = 0;
    Coverage<std::vector<float>> coverage{SlotTree(kSlots)};
  };
  void Apply(uint32_t b) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const BlockSpec& spec = blocks_[b];
    for (uint64_t i = 0; i < spec.size; ++i) {
      previous_[spec.offset + i] = theta_[spec.offset + i];
      theta_[spec.offset + i] -= 0.01f * state_[b].coverage.sum()[i];
    }
    state_[b].coverage.Clear();
    ++state_[b].version;
    changed_.SignalAll();
  }

  absl::Mutex mutex_;
  absl::CondVar changed_;
  std::vector<float> theta_ ABSL_GUARDED_BY(mutex_);
  std::vector<float> previous_ ABSL_GUARDED_BY(mutex_);
  const std::vector<BlockSpec> blocks_;
  std::vector<BlockState> state_ ABSL_GUARDED_BY(mutex_);
};

// One thread that acts as all pull streams.
class TestServers::Link : public ParameterLink {
 public:
  Link(TestServers* servers, ParameterLinkEvents* events) : servers_(servers), events_(events) {}
  ~Link() override { Stop(); }

  void SetView(const View& view) override { view_ = ViewId(view.view()); }
  void AskVersions() override {
    asker_ = std::thread([this, view = view_] { events_->OnVersions(view, 0, Version(servers_->lowest())); });
  }
  void Open(Version from) override {
    puller_ = std::thread([this, from, view = view_] { Pull(view, from.value()); });
  }
  void Push(BlockContribution c) override { servers_->Push(c); }
  void Resume() override {}
  void Disconnect() override {}
  void Stop() {
    servers_->Wake(&cancelled_);
    if (asker_.joinable()) asker_.join();
    if (puller_.joinable()) puller_.join();
  }

 private:
  void Pull(ViewId view, uint64_t version) {
    std::vector<float> values;
    for (;; ++version) {
      for (uint32_t b = 0; b < servers_->blocks(); ++b) {
        if (!servers_->WaitFor(b, version, cancelled_, &values)) return;
        PublishedHeader header;
        header.set_view(view.value());
        header.set_version(version);
        header.set_block(b);
        while (!events_->OnBlock(
            header, [&](const BlockMemory& to) { std::copy(values.begin(), values.end(), to.theta); })) {
          std::this_thread::yield();  // the run that uses the buffer will end
        }
      }
    }
  }

  TestServers* const servers_;
  ParameterLinkEvents* const events_;
  ViewId view_;
  bool cancelled_ = false;  // guarded by the servers' mutex
  std::thread asker_;
  std::thread puller_;
};

View MakeView(uint64_t target, const std::vector<SlotRange>& slots) {
  View view;
  view.set_view(1);
  view.add_shards();
  view.mutable_restore()->set_restore_id(1);
  view.mutable_target()->set_restore_id(1);
  view.mutable_target()->set_version(target);
  view.mutable_target()->set_evaluate(EVALUATION_SET_VALIDATION);
  for (size_t i = 0; i < slots.size(); ++i) {
    auto* assignment = view.add_slots();
    assignment->mutable_worker()->set_node_id(i + 1);
    assignment->set_slot_begin(slots[i].begin);
    assignment->set_slot_end(slots[i].end);
  }
  return view;
}

JobWorker::Options MakeOptions(NodeId self) {
  JobWorker::Options options;
  options.rounds.job = JobId(1);
  options.rounds.self = self;
  options.rounds.slots = kSlots;
  options.rounds.group_sizes = kGroups;
  options.rounds.report = [](const NodeReport&) {};
  options.executors = NewThreadExecutor;
  return options;
}

// Trains with one worker per range; returns θ after `rounds` and, by slot, the evaluation's loss.
std::pair<std::vector<float>, std::map<uint32_t, double>> Train(const std::vector<SlotRange>& slots,
                                                                uint64_t rounds) {
  TestServers servers;
  absl::Mutex mutex;
  std::map<uint32_t, double> losses;
  std::vector<std::unique_ptr<JobWorker>> workers;
  for (size_t i = 0; i < slots.size(); ++i) {
    JobWorker::Options options = MakeOptions(NodeId(i + 1));
    options.rounds.report = [&](const NodeReport& report) {
      absl::MutexLock lock(&mutex);
      losses[report.slot_evaluated().slot()] = report.slot_evaluated().statistics().loss();
    };
    workers.push_back(std::make_unique<JobWorker>(
        std::move(options), std::make_unique<TestProgram>(),
        [&](ParameterLinkEvents* events) { return std::make_unique<TestServers::Link>(&servers, events); }));
    workers.back()->OnView(MakeView(rounds, slots));
  }
  std::vector<float> theta = servers.WaitForVersion(rounds);
  const auto evaluated = [&] { return losses.size() == kSlots; };
  absl::MutexLock lock(&mutex);
  REQUIRE(mutex.AwaitWithTimeout(absl::Condition(&evaluated), absl::Seconds(20)));
  return {theta, losses};
}

// A link whose last events come during its destruction, like those of streams that end then. Its worker has
// already released it, so each use would crash.
class LateLink : public ParameterLink {
 public:
  explicit LateLink(ParameterLinkEvents* events) : events_(events) {}
  ~LateLink() override {
    events_->OnVersions(kView, 0, Version(0));
    events_->OnOutOfRange(kView);
    events_->OnPushReopened(kView, 0);
    PublishedHeader header;
    header.set_view(kView.value());
    events_->OnBlock(header, [](const BlockMemory&) { FAIL_CHECK("the block is not wanted"); });
  }

  void SetView(const View&) override {}
  void AskVersions() override {}
  void Open(Version) override {}
  void Push(BlockContribution) override {}
  void Resume() override {}
  void Disconnect() override {}

 private:
  static constexpr ViewId kView{1};
  ParameterLinkEvents* const events_;
};

// A link whose servers answer at once, with all parameters. Events come from the thread of its executor.
class PromptLink : public ParameterLink {
 public:
  explicit PromptLink(ParameterLinkEvents* events) : events_(events) {}

  void SetView(const View& view) override { view_ = ViewId(view.view()); }
  void AskVersions() override {
    answers_->Post([this, view = view_] { events_->OnVersions(view, 0, Version(0)); });
  }
  void Open(Version from) override {
    answers_->Post([this, view = view_, from] {
      for (uint32_t block = 0; block < kGroups.size(); ++block) {
        PublishedHeader header;
        header.set_view(view.value());
        header.set_version(from.value());
        header.set_block(block);
        events_->OnBlock(header, [&](const BlockMemory& to) { std::fill_n(to.theta, kGroups[block], 0.0f); });
      }
    });
  }
  void Push(BlockContribution) override { ++pushed; }
  void Resume() override {}
  void Disconnect() override {}

  static inline std::atomic<int> pushed{0};

 private:
  ParameterLinkEvents* const events_;
  ViewId view_;
  const std::unique_ptr<Executor> answers_ = NewThreadExecutor("answers");
};

// Blocks in its slot until released.
struct Hang {
  absl::Notification begun, go_on;
};

class HangingProgram : public Program {
 public:
  explicit HangingProgram(Hang* hang) : hang_(hang) {}
  absl::Status RunSlot(const SlotTask& task) override {
    for (int group = 0; group < static_cast<int>(kGroups.size()); ++group) {
      if (!task.wait_group(group)) return absl::CancelledError("not wanted");
    }
    hang_->begun.Notify();
    hang_->go_on.WaitForNotification();
    return absl::CancelledError("over");
  }
  absl::StatusOr<EvaluationStatistics> EvaluateSlot(const EvaluationTask&) override {
    return absl::UnimplementedError("");
  }

 private:
  Hang* const hang_;
};

// Its losses are NaN.
class DivergingProgram : public TestProgram {
 public:
  absl::Status RunSlot(const SlotTask& task) override {
    SlotTask diverging = task;
    diverging.set_stats = [&](ContributionStats stats) {
      stats.set_loss(std::numeric_limits<double>::quiet_NaN());
      task.set_stats(stats);
    };
    return TestProgram::RunSlot(diverging);
  }
};

JobWorker::LinkFactory MakePromptLink() {
  return [](ParameterLinkEvents* events) { return std::make_unique<PromptLink>(events); };
}

}  // namespace

TEST_CASE("only the destructor waits for a slot that hangs, and heartbeats name it") {
  Hang hang;
  auto worker = std::make_unique<JobWorker>(MakeOptions(NodeId(1)), std::make_unique<HangingProgram>(&hang),
                                            MakePromptLink());
  worker->OnView(MakeView(3, {{0, kSlots}}));
  REQUIRE(hang.begun.WaitForNotificationWithTimeout(absl::Seconds(20)));
  Heartbeat heartbeat;
  worker->AddTo(&heartbeat);
  REQUIRE(heartbeat.activities_size() == 1);
  CHECK(heartbeat.activities(0).kind() == ACTIVITY_COMPUTE);
  CHECK(heartbeat.activities(0).job() == 1);
  CHECK(heartbeat.activities(0).view() == 1);
  CHECK(heartbeat.activities(0).detail() == "round 0, slot 0");
  View view = MakeView(3, {{0, kSlots}});
  view.set_view(2);
  worker->OnView(view);
  worker->OnTarget(view.target());
  worker->OnSessionOpened();
  CHECK(worker->Cancel() == "job 1, round 0, slot 0");
  hang.go_on.Notify();
  worker.reset();
}

TEST_CASE("a loss that is not a number is reported, and its gradient is not pushed") {
  absl::Mutex mutex;
  std::vector<NodeReport> reports;
  JobWorker::Options options = MakeOptions(NodeId(1));
  options.rounds.report = [&](NodeReport report) {
    absl::MutexLock lock(&mutex);
    reports.push_back(std::move(report));
  };
  PromptLink::pushed = 0;
  JobWorker worker(std::move(options), std::make_unique<DivergingProgram>(), MakePromptLink());
  worker.OnView(MakeView(3, {{0, kSlots}}));
  const auto reported = [&] { return !reports.empty(); };
  absl::MutexLock lock(&mutex);
  REQUIRE(mutex.AwaitWithTimeout(absl::Condition(&reported), absl::Seconds(20)));
  CHECK(reports.size() == 1);
  CHECK(reports[0].slot_failed().reason() == "the loss is not a number");
  CHECK(reports[0].slot_failed().restore_id() == 1);
  CHECK(PromptLink::pushed == 0);
}

TEST_CASE("a slot for which there is no memory is refused with the size that was requested") {
  absl::Mutex mutex;
  std::vector<NodeReport> reports;
  JobWorker::Options options = MakeOptions(NodeId(1));
  options.rounds.report = [&](NodeReport report) {
    absl::MutexLock lock(&mutex);
    reports.push_back(std::move(report));
  };
  JobWorker worker(std::move(options), std::make_unique<TestProgram>(), MakePromptLink());
  large_memory_refusal_for_test = [](uint64_t) { return true; };
  worker.OnView(MakeView(3, {{0, kSlots}}));
  {
    const auto reported = [&] { return !reports.empty(); };
    absl::MutexLock lock(&mutex);
    const bool in_time = mutex.AwaitWithTimeout(absl::Condition(&reported), absl::Seconds(20));
    large_memory_refusal_for_test = nullptr;
    REQUIRE(in_time);
    REQUIRE(reports[0].has_job_refused());
    CHECK(reports[0].job_refused().reason() ==
          "round 0, slot 0: there is not enough memory for the slot: can't allocate 0.0 MiB");
    CHECK_FALSE(reports[0].job_refused().fatal());
  }
  View view = MakeView(3, {{0, kSlots}});
  view.set_view(2);
  PromptLink::pushed = 0;
  worker.OnView(view);  // it tries again
  const absl::Time deadline = absl::Now() + absl::Seconds(20);
  while (PromptLink::pushed == 0 && absl::Now() < deadline) std::this_thread::yield();
  CHECK(PromptLink::pushed > 0);
}

TEST_CASE("events that arrive while the link is destroyed don't touch it") {
  JobWorker worker(MakeOptions(NodeId(1)), std::make_unique<TestProgram>(),
                   [](ParameterLinkEvents* events) { return std::make_unique<LateLink>(events); });
  worker.OnView(MakeView(3, {{0, kSlots}}));
}

TEST_CASE("one worker and several give the same bits, and evaluate at the target") {
  const auto alone = Train({{0, 5}}, 12);
  CHECK(Train({{0, 2}, {2, 5}}, 12) == alone);
  CHECK(Train({{0, 1}, {1, 4}, {4, 5}}, 12) == alone);
  for (uint32_t slot = 0; slot < kSlots; ++slot) CHECK(alone.second.at(slot) == alone.first[slot]);
}

}  // namespace shoal::worker
