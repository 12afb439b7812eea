#include "tools/bench/control_bench.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/synchronization/notification.h"
#include "common/base/array_pool.h"
#include "common/base/status.h"
#include "common/base/timer_queue.h"
#include "common/protocol/block_checksum.h"
#include "common/protocol/block_message.h"
#include "common/protocol/slot_tree.h"
#include "common/storage/file.h"
#include "server/shard_host.h"
#include "tools/bench/json_line.h"
#include "tools/bench/loopback_servers.h"
#include "tools/bench/scheduler_load.h"
#include "tools/bench/timing.h"
#include "worker/unit_reducer.h"
#include "worker/worker_core.h"

namespace shoal::bench {
namespace {

constexpr uint64_t kElements = 16;
constexpr NodeId kServer{1}, kWorker{2};
constexpr ViewKey kView{JobId(1), TrainingId(1), ViewId(1)};

View MakeView(SlotRange slots) {
  View view;
  SetKey(kView, &view);
  view.mutable_restore()->set_restore_id(1);
  view.mutable_target()->set_restore_id(1);
  view.mutable_target()->set_version(uint64_t{1} << 40);
  view.add_shards()->mutable_primary()->set_node_id(kServer.value());
  SlotAssignment& assignment = *view.add_slots();
  assignment.mutable_worker()->set_node_id(kWorker.value());
  assignment.set_slot_begin(slots.begin);
  assignment.set_slot_end(slots.end);
  return view;
}

// The contribution of `node`, as received from the network.
grpc::ByteBuffer Contribution(Round round, SlotRange node, const worker::GradientBuffer& gradient) {
  ContributionHeader header;
  SetKey(kView, &header);
  header.set_round(round.value());
  header.set_slot_begin(node.begin);
  header.set_slot_end(node.end);
  header.mutable_stats()->set_weight(node.size());
  const auto* bytes = reinterpret_cast<const uint8_t*>(gradient.get());
  const Payload payload = Payload::Refer(gradient, absl::MakeConstSpan(bytes, kElements * sizeof(float)));
  header.set_crc32c(BlockChecksum(header, payload.Crc32c()));
  return EncodeBlockMessage(header, payload);
}

grpc::ByteBuffer Publication(const server::PublishedVersion& published) {
  PublishedHeader header;
  SetKey(kView, &header);
  header.set_version(published.version.value());
  header.set_wire(published.wire);
  header.set_with_average(published.with_average);
  header.set_crc32c(BlockChecksum(header, published.payload_crc32c));
  return EncodeBlockMessage(header, published.payload);
}

// A server without a network.
class BenchServer {
 public:
  explicit BenchServer(const std::shared_ptr<const server::ShardConfig>& job) {
    server::ShardHost::Options options;
    options.self = kServer;
    options.env = PosixEnv();
    options.executors = NewThreadExecutor;
    absl::Notification installed;
    options.report = [&installed](const NodeReport& report) {
      if (report.has_view_installed()) installed.Notify();
    };
    job_ = std::make_shared<server::ShardHost>(std::move(options), job);
    SHOAL_CHECK_OK(job_->Install(MakeView({0, job->slots})));
    installed.WaitForNotification();
  }
  ~BenchServer() { job_->Close(); }

  // Runs a round: takes the messages, and writes one for each of `workers`. Returns the last.
  grpc::ByteBuffer Run(Round round, const std::vector<grpc::ByteBuffer>& contributions, size_t workers) {
    for (const grpc::ByteBuffer& buffer : contributions) {
      auto message = ParseContribution(buffer);
      SHOAL_CHECK_OK(message);
      SHOAL_CHECK_OK(job_->shard().Contribute(message->header, std::move(message->payload)));
    }
    const auto published = job_->shard().Published(kView, BlockId(0), OutputOf(round));
    SHOAL_CHECK_OK(published);
    grpc::ByteBuffer last;
    for (size_t i = 0; i < workers; ++i) last = Publication(*published);
    return last;
  }

 private:
  std::shared_ptr<server::ShardHost> job_;
};

// A worker without a network, thread or model.
class BenchWorker {
 public:
  BenchWorker(uint32_t slots, SlotRange own) : tree_(slots), core_({JobId(1), kWorker, slots, 1}) {
    core_.OnView(MakeView(own));
    core_.OnVersions(kView.view, 0, Version(0));
    (void)core_.TakeActions();
    Store(Version(0));
  }

  // Runs the slots of a round.
  std::vector<grpc::ByteBuffer> Run(Round round) {
    const worker::Work work = core_.NextWork();
    SHOAL_CHECK(work.kind == worker::Work::Kind::kTrain && work.version == InputOf(round));
    std::vector<grpc::ByteBuffer> contributions;
    for (SlotRange unit : work.units) RunUnit(work, unit, &contributions);
    core_.EndWork(work.ticket);
    return contributions;
  }
  // Receives the round's new version.
  void Take(const grpc::ByteBuffer& buffer) {
    const auto message = ParsePublishedBlock(buffer);
    SHOAL_CHECK_OK(message);
    SHOAL_CHECK(BlockChecksum(message->header, message->payload.Crc32c()) == message->header.crc32c());
    Store(Version(message->header.version()));
  }

 private:
  void RunUnit(const worker::Work& work, SlotRange unit, std::vector<grpc::ByteBuffer>* contributions) {
    worker::UnitReducer reducer(
        {tree_,
         unit,
         WIRE_FORMAT_F32,
         {{0, kElements}},
         [&](SlotRange node, int, const worker::GradientBuffer& gradient, const ContributionStats&) {
           contributions->push_back(Contribution(RoundFrom(work.version), node, gradient));
         }},
        pool_);
    ContributionStats stats;
    stats.set_weight(1);
    for (uint32_t slot = unit.begin; slot < unit.end; ++slot) {
      SHOAL_CHECK(core_.Assigned(Slot(slot)) && core_.Wanted(work.ticket));
      std::fill_n(reducer.BeginSlot(Slot(slot)), kElements, 0.001f);
      reducer.SetStats(stats);
      reducer.GroupFinal(0);
      reducer.EndSlot();
    }
    core_.UnitDone(work.ticket, unit);
  }
  void Store(Version version) {
    SHOAL_CHECK(core_.OfferBlock(kView.view, version, BlockId(0)) == worker::WorkerCore::Offer::kTake);
    core_.BlockStored(kView.view, version, BlockId(0));
    (void)core_.TakeActions();
  }

  const SlotTree tree_;
  const std::shared_ptr<ArrayPool> pool_ = ArrayPool::Create();
  worker::WorkerCore core_;
};

// Rounds of `options.slots` slots, divided evenly among `workers` workers.
absl::Status RunRounds(const ControlOptions& options, uint32_t workers) {
  const uint32_t slots = static_cast<uint32_t>(options.slots);
  BenchJobOptions job_options;
  job_options.group_sizes = {kElements};
  job_options.slots = slots;
  SHOAL_ASSIGN_OR_RETURN(const std::shared_ptr<const server::ShardConfig> job, MakeBenchJob(job_options));
  BenchServer server(job);
  std::vector<std::unique_ptr<BenchWorker>> all;
  for (uint32_t w = 0; w < workers; ++w) {
    const uint32_t own = slots / workers;
    all.push_back(std::make_unique<BenchWorker>(slots, SlotRange{w * own, (w + 1) * own}));
  }
  std::vector<double> server_seconds, worker_seconds;
  for (int r = 0; r < options.rounds; ++r) {
    const Round round(r);
    std::vector<grpc::ByteBuffer> contributions;
    double seconds = SecondsOf([&] {
      for (auto& worker : all) {
        for (grpc::ByteBuffer& buffer : worker->Run(round)) contributions.push_back(std::move(buffer));
      }
    });
    grpc::ByteBuffer published;
    server_seconds.push_back(SecondsOf([&] { published = server.Run(round, contributions, workers); }));
    seconds += SecondsOf([&] {
      for (auto& worker : all) worker->Take(published);
    });
    worker_seconds.push_back(seconds / workers);
  }
  const double server_median = Median(server_seconds), worker_median = Median(worker_seconds);
  JsonLine("control_round")
      .Integer("slots", slots)
      .Integer("workers", workers)
      .Number("server_milliseconds", 1e3 * server_median)
      .Number("worker_milliseconds", 1e3 * worker_median)
      .Number("round_milliseconds", 1e3 * (server_median + worker_median))
      .Print();
  return absl::OkStatus();
}

}  // namespace

absl::Status RunControl(const ControlOptions& options) {
  SHOAL_RETURN_IF_ERROR(RunRounds(options, static_cast<uint32_t>(options.slots)));
  SHOAL_RETURN_IF_ERROR(RunRounds(options, 1));
  if (options.seconds <= 0) return absl::OkStatus();
  SchedulerLoad load;
  load.nodes = options.nodes;
  load.channels = options.channels == 0 ? options.nodes : options.channels;
  load.seconds = options.seconds;
  SHOAL_ASSIGN_OR_RETURN(const double share, SchedulerCoreShare(load));
  JsonLine("control_scheduler")
      .Integer("nodes", load.nodes)
      .Integer("channels", load.channels)
      .Number("seconds", load.seconds)
      .Number("core_share", share)
      .Print();
  return absl::OkStatus();
}

}  // namespace shoal::bench
