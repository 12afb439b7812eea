#include "tools/bench/overlap_bench.h"

#include <algorithm>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/base/status.h"
#include "common/base/timer_queue.h"
#include "common/base/wire.h"
#include "tools/bench/json_line.h"
#include "tools/bench/limited_link.h"
#include "tools/bench/loopback_servers.h"
#include "tools/bench/timing.h"
#include "worker/grpc_link.h"
#include "worker/job_worker.h"

namespace shoal::bench {
namespace {

constexpr NodeId kWorker{1000};
constexpr int kWarmUpRounds = 2;
// The share of backward in a round's computation: twice as many products as forward.
constexpr double kBackwardShare = 2.0 / 3.0;
// A shorter wait only checked whether the parameters had arrived.
constexpr absl::Duration kNoWait = absl::Microseconds(50);

// When a round began, and how long its layers took.
struct RoundTimes {
  absl::Time begin;
  absl::Duration compute;
};

// Layers that take a given time. When a layer is ready does not depend on a late wake-up of the thread.
class TimedProgram : public worker::Program {
 public:
  struct Options {
    std::vector<uint64_t> group_sizes;
    absl::Duration forward, backward;  // per layer
    size_t rounds = 0;
  };
  // After `options.rounds` rounds, `done` is notified; `times` is not touched afterwards. Both must outlive
  // it.
  TimedProgram(Options options, std::vector<RoundTimes>* times, absl::Notification* done)
      : options_(std::move(options)), times_(times), done_(done) {}

  absl::Status RunSlot(const worker::SlotTask& task) override {
    const size_t layers = options_.group_sizes.size();
    absl::Time now = absl::Now();
    RoundTimes times = {now, absl::ZeroDuration()};
    for (size_t layer = 0; layer < layers; ++layer) {
      const absl::Time before = absl::Now();
      if (!task.wait_group(static_cast<int>(layer))) return absl::CancelledError("not wanted");
      const absl::Time after = absl::Now();
      if (after - before > kNoWait) now = std::max(now, after);
      times.compute += Work(options_.forward, &now);
    }
    ContributionStats stats;
    stats.set_weight(1);
    task.set_stats(stats);
    float* gradient = task.gradient + Elements();
    for (size_t layer = layers; layer-- > 0;) {
      gradient -= options_.group_sizes[layer];
      std::fill_n(gradient, options_.group_sizes[layer], 0.001f);
      times.compute += Work(options_.backward, &now);
      task.group_final(static_cast<int>(layer));
    }
    if (times_->size() < options_.rounds) times_->push_back(times);
    if (times_->size() == options_.rounds && !done_->HasBeenNotified()) done_->Notify();
    return absl::OkStatus();
  }
  absl::StatusOr<EvaluationStatistics> EvaluateSlot(const worker::EvaluationTask&) override {
    return absl::UnimplementedError("no evaluation here");
  }

 private:
  uint64_t Elements() const {
    uint64_t elements = 0;
    for (uint64_t size : options_.group_sizes) elements += size;
    return elements;
  }
  // Sleeps until *now + duration, which becomes *now. Returns `duration`.
  static absl::Duration Work(absl::Duration duration, absl::Time* now) {
    *now += duration;
    std::this_thread::sleep_until(absl::ToChronoTime(*now));
    return duration;
  }

  const Options options_;
  std::vector<RoundTimes>* const times_;
  absl::Notification* const done_;
};

// Of one round, in seconds.
struct Figures {
  double round = 0, compute = 0;
};

Figures MedianRound(const std::vector<RoundTimes>& times) {
  std::vector<double> rounds, computes;
  for (size_t i = kWarmUpRounds; i + 1 < times.size(); ++i) {
    rounds.push_back(absl::ToDoubleSeconds(times[i + 1].begin - times[i].begin));
    computes.push_back(absl::ToDoubleSeconds(times[i].compute));
  }
  return {Median(rounds), Median(computes)};
}

TimedProgram::Options Timing(const OverlapOptions& options, const BenchJobOptions& job) {
  TimedProgram::Options timing;
  timing.group_sizes = job.group_sizes;
  const absl::Duration layer = absl::Milliseconds(options.compute_ms / options.layers);
  timing.forward = (1 - kBackwardShare) * layer;
  timing.backward = kBackwardShare * layer;
  timing.rounds =
      kWarmUpRounds + static_cast<size_t>(options.rounds) + 1;  // a round ends where the next begins
  return timing;
}

// All slots on the one worker, for `rounds` rounds.
View WithWorker(View view, uint64_t rounds) {
  SlotAssignment& slots = *view.add_slots();
  slots.mutable_worker()->set_node_id(kWorker.value());
  slots.set_slot_end(1);
  view.mutable_target()->set_restore_id(view.restore().restore_id());
  view.mutable_target()->set_version(rounds);
  return view;
}

std::unique_ptr<worker::JobWorker> StartWorker(const OverlapOptions& options, const server::ShardConfig& job,
                                               const std::vector<uint64_t>& group_sizes,
                                               std::unique_ptr<worker::Program> program) {
  worker::JobWorker::Options worker;
  worker.rounds.job = job.job;
  worker.rounds.self = kWorker;
  worker.rounds.wire = job.wire;
  worker.rounds.group_sizes = group_sizes;
  worker.rounds.report = [](const NodeReport&) {};
  worker.executors = NewThreadExecutor;
  worker::GrpcLinkOptions link;
  link.wire = job.wire;
  for (const BlockSpec& block : job.blocks) link.block_elements.push_back(block.size);
  link.executors = NewThreadExecutor;
  return std::make_unique<worker::JobWorker>(worker, std::move(program),
                                             [&](worker::ParameterLinkEvents* events) {
                                               return NewLimitedGrpcLink(options.gbits * 1e9, link, events);
                                             });
}

absl::StatusOr<Figures> Measure(const OverlapOptions& options, const BenchJobOptions& job_options) {
  SHOAL_ASSIGN_OR_RETURN(const std::shared_ptr<const server::ShardConfig> job, MakeBenchJob(job_options));
  SHOAL_ASSIGN_OR_RETURN(const std::unique_ptr<LoopbackServers> servers,
                         LoopbackServers::Start(options.servers, job));
  const TimedProgram::Options timing = Timing(options, job_options);
  const View view = WithWorker(servers->MakeView(), timing.rounds);
  servers->Install(view);
  std::vector<RoundTimes> times;
  absl::Notification done;
  const std::unique_ptr<worker::JobWorker> worker = StartWorker(
      options, *job, job_options.group_sizes, std::make_unique<TimedProgram>(timing, &times, &done));
  worker->OnView(view);
  done.WaitForNotification();
  return MedianRound(times);
}

}  // namespace

absl::Status RunOverlap(const OverlapOptions& options) {
  BenchJobOptions job_options;
  SHOAL_ASSIGN_OR_RETURN(job_options.wire, ParseWire(options.wire));
  const uint64_t elements = (static_cast<uint64_t>(options.mib) << 18) / options.layers;
  if (elements == 0) return absl::InvalidArgumentError("--mib: expected at least one element per layer");
  job_options.group_sizes.assign(options.layers, elements);
  SHOAL_ASSIGN_OR_RETURN(const Figures round, Measure(options, job_options));

  const uint64_t bytes = EncodedBytes(job_options.wire, elements * options.layers);
  const double wire = 8e-9 * static_cast<double>(bytes) / options.gbits;
  const double backward = kBackwardShare * round.compute;
  const double unavoidable = std::max(0.0, wire - backward);
  const double bound = unavoidable + 0.1 * (round.compute + unavoidable);
  const double exposed = round.round - round.compute;
  JsonLine("overlap")
      .Text("wire", options.wire)
      .Number("gbits", options.gbits)
      .Integer("mib", options.mib)
      .Integer("layers", options.layers)
      .Integer("servers", options.servers)
      .Number("round_seconds", round.round)
      .Number("compute_seconds", round.compute)
      .Number("backward_seconds", backward)
      .Number("wire_seconds", wire)
      .Number("exposed_seconds", exposed)
      .Number("bound_seconds", bound)
      .Integer("within_bound", exposed <= bound ? 1 : 0)
      .Print();
  return absl::OkStatus();
}

}  // namespace shoal::bench
