#include "tools/bench/pushpull_bench.h"

#include <sys/resource.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/base/status.h"
#include "common/base/timer_queue.h"
#include "common/base/wire.h"
#include "common/protocol/blocks.h"
#include "tools/bench/json_line.h"
#include "tools/bench/limited_link.h"
#include "tools/bench/loopback_servers.h"
#include "tools/bench/raw_streams.h"
#include "tools/bench/timing.h"
#include "worker/grpc_link.h"

namespace shoal::bench {
namespace {

constexpr int kTurns = 4;

// Pushes a gradient and waits until the next version of all blocks has arrived.
class BenchWorker : public worker::ParameterLinkEvents {
 public:
  BenchWorker(uint32_t slot, const PushPullOptions& bench, WireFormat wire,
              const std::vector<BlockSpec>& blocks, uint64_t elements)
      : slot_(slot),
        blocks_(blocks),
        theta_(ArrayPool::Create()->Acquire(elements)),
        gradient_(ArrayPool::Create()->Acquire(elements)) {
    std::fill_n(gradient_.get(), elements, 0.001f);
    worker::GrpcLinkOptions options;
    options.wire = wire;
    options.executors = NewThreadExecutor;
    for (const BlockSpec& block : blocks) options.block_elements.push_back(block.size);
    link_ = NewLimitedGrpcLink(bench.gbits * 1e9, options, this);
  }

  void Connect(const View& view) {
    link_->SetView(view);
    link_->Open(Version(0));
    WaitFor(Version(0));
  }
  void Push(Round round) {
    for (uint32_t b = 0; b < blocks_.size(); ++b) {
      worker::BlockContribution contribution;
      contribution.header.set_round(round.value());
      contribution.header.set_slot_begin(slot_);
      contribution.header.set_slot_end(slot_ + 1);
      contribution.header.set_block(b);
      contribution.header.mutable_stats()->set_weight(1);
      contribution.gradient = gradient_;
      contribution.values = gradient_.get() + blocks_[b].offset;
      contribution.size = blocks_[b].size;
      link_->Push(std::move(contribution));
    }
  }
  void WaitFor(Version version) ABSL_LOCKS_EXCLUDED(mutex_) {
    const auto here = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      return arrived_ >= (version.value() + 1) * blocks_.size();
    };
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(&here));
  }

  bool OnBlock(const PublishedHeader& header, const worker::BlockStore& store) override {
    store({theta_.get() + blocks_[header.block()].offset});
    absl::MutexLock lock(&mutex_);
    ++arrived_;
    return true;
  }
  void OnVersions(ViewId, uint32_t, Version) override {}
  void OnOutOfRange(ViewId) override {}
  Version PullFrom() override { return Version(0); }
  void OnPushReopened(ViewId, uint32_t) override {}

 private:
  const uint32_t slot_;
  const std::vector<BlockSpec> blocks_;
  const FloatArray theta_;
  const worker::GradientBuffer gradient_;
  absl::Mutex mutex_;
  uint64_t arrived_ ABSL_GUARDED_BY(mutex_) = 0;
  std::unique_ptr<worker::ParameterLink> link_;  // last: its events end before the rest
};

double CpuSeconds() {
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

using Workers = std::vector<std::unique_ptr<BenchWorker>>;

// The shortest time of each.
struct Seconds {
  double round = kNever, worker_cpu = kNever, server_cpu = kNever;  // of a round
  double grpc = kNever, grpc_one_connection = kNever, tcp = kNever;

  static constexpr double kNever = std::numeric_limits<double>::infinity();
};

void RunTurn(int rounds, const ServerProcess& servers, const Workers& workers, uint64_t* round,
             Seconds* best) {
  for (int i = 0; i < rounds; ++i) {
    const double worker_cpu = CpuSeconds(), server_cpu = servers.CpuSeconds();
    const double seconds = SecondsOf([&] {
      for (const auto& worker : workers) worker->Push(Round(*round));
      ++*round;
      for (const auto& worker : workers) worker->WaitFor(Version(*round));
    });
    best->round = std::min(best->round, seconds);
    best->worker_cpu = std::min(best->worker_cpu, CpuSeconds() - worker_cpu);
    best->server_cpu = std::min(best->server_cpu, servers.CpuSeconds() - server_cpu);
  }
}

absl::StatusOr<Seconds> MeasureInTurns(const PushPullOptions& options, const ServerProcess& servers,
                                       const Workers& workers, const RawTransfer& raw) {
  Seconds best, warm_up;
  uint64_t round = 0;
  RunTurn(1, servers, workers, &round, &warm_up);
  for (int turn = 0; turn < kTurns; ++turn) {
    RunTurn((options.rounds + kTurns - 1) / kTurns, servers, workers, &round, &best);
    SHOAL_ASSIGN_OR_RETURN(const double grpc, GrpcSeconds(raw, 2));
    SHOAL_ASSIGN_OR_RETURN(const double one, GrpcSeconds(raw, 1));
    SHOAL_ASSIGN_OR_RETURN(const double tcp, TcpSeconds(raw));
    best.grpc = std::min(best.grpc, grpc);
    best.grpc_one_connection = std::min(best.grpc_one_connection, one);
    best.tcp = std::min(best.tcp, tcp);
  }
  return best;
}

}  // namespace

absl::Status RunPushPull(const PushPullOptions& options) {
  SHOAL_ASSIGN_OR_RETURN(const WireFormat wire, ParseWire(options.wire));
  const uint64_t elements = static_cast<uint64_t>(options.mib) << 18;
  BenchJobOptions job_options;
  job_options.group_sizes = {elements};
  job_options.slots = static_cast<uint32_t>(options.workers);
  job_options.wire = wire;
  SHOAL_ASSIGN_OR_RETURN(const std::shared_ptr<const server::ShardConfig> job, MakeBenchJob(job_options));
  SHOAL_ASSIGN_OR_RETURN(const std::unique_ptr<ServerProcess> servers,
                         ServerProcess::Start(options.servers, job));
  std::vector<std::unique_ptr<BenchWorker>> workers;
  for (int i = 0; i < options.workers; ++i)
    workers.push_back(std::make_unique<BenchWorker>(i, options, wire, job->blocks, elements));
  for (const auto& worker : workers) worker->Connect(servers->view());

  const uint64_t bytes = EncodedBytes(wire, elements);
  const uint64_t block_bytes = std::min(bytes, EncodedBytes(wire, kMaxBlockElements));
  SHOAL_ASSIGN_OR_RETURN(const Seconds best,
                         MeasureInTurns(options, *servers, workers, {bytes, block_bytes, 2}));
  const double moved = 2e-9 * static_cast<double>(bytes);  // gigabytes, both ways
  const double all = moved * options.workers / best.round;
  JsonLine("pushpull")
      .Text("wire", options.wire)
      .Integer("mib", options.mib)
      .Integer("workers", options.workers)
      .Integer("servers", options.servers)
      .Number("gbits", options.gbits)
      .Number("gigabytes_per_second", all)
      .Number("parameters_per_second", static_cast<double>(elements) / best.round)
      .Number("bytes_per_parameter", 2.0 * static_cast<double>(bytes) / static_cast<double>(elements))
      .Number("grpc_gigabytes_per_second", moved / best.grpc)
      .Number("grpc_one_connection_gigabytes_per_second", moved / best.grpc_one_connection)
      .Number("tcp_gigabytes_per_second", moved / best.tcp)
      .Number("of_grpc", all / (moved / best.grpc))
      .Number("worker_cpu_seconds_per_gigabyte", best.worker_cpu / (moved * options.workers))
      .Number("server_cpu_seconds_per_gigabyte", best.server_cpu / (moved * options.workers))
      .Print();
  return absl::OkStatus();
}

}  // namespace shoal::bench
