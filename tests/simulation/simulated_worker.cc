#include "tests/simulation/simulated_worker.h"

#include <utility>

#include "common/block_checksum.h"
#include "common/status.h"
#include "common/wire.h"
#include "tests/simulation/simulated_job.h"

namespace shoal::simulation {
namespace {

constexpr absl::Duration kRetry = absl::Milliseconds(3);

}  // namespace

SimulatedWorker::SimulatedWorker(SimulatedCluster* cluster, std::string name)
    : SimulatedNode(cluster, NODE_ROLE_WORKER, std::move(name)) {}

void SimulatedWorker::DropJob() {
  ++life_;
  Disconnect();
  pulls_.clear();
  waiting_.clear();
  rounds_.reset();
  view_.Clear();
  busy_ = false;
}

void SimulatedWorker::DropAll() {
  choice_.Clear();
  DropJob();
}

// ---- control ----

void SimulatedWorker::OnSessionOpened() {
  if (rounds_ == nullptr) return;
  ReportPrepared();
  rounds_->OnSessionOpened();
  Pump();
}

void SimulatedWorker::ReportPrepared() {
  NodeReport report;
  *report.mutable_job_prepared() = *choice_.held();
  Report(std::move(report));
}

void SimulatedWorker::OnDirective(const Directive& directive) {
  if (directive.has_prepare_job()) Prepare(directive.prepare_job());
  if (directive.has_close_job() && choice_.OnClose(directive.close_job().job())) DropJob();
  if (rounds_ == nullptr) return;
  if (directive.has_view() && choice_.Holds(directive.view().job()))
    SHOAL_CHECK_OK(rounds_->OnView(directive.view()));
  if (directive.has_target() && choice_.Holds(directive.target().job()))
    rounds_->OnTarget(directive.target());
  Pump();
}

void SimulatedWorker::Prepare(const PrepareJob& request) {
  if (choice_.OnPrepare(request)) return ReportPrepared();
  choice_.DropHeld();
  DropJob();
  const auto time = cluster_->queue().Between(absl::Milliseconds(1), absl::Milliseconds(8));
  After(time, [this, request] {
    if (choice_.Wants(request)) MakeJob(request);
  });
}

void SimulatedWorker::MakeJob(const PrepareJob& request) {
  const JobPlan plan = request.derive() ? SimulatedPlan() : request.plan();
  worker::WorkerRounds::Options options;
  options.job = JobId(request.job());
  options.self = NodeId(id());
  options.slots = request.spec().train().slots();
  options.group_sizes.assign(plan.group_sizes().begin(), plan.group_sizes().end());
  options.max_block_elements = kSimulatedBlockElements;
  options.report = [this](NodeReport report) { Report(std::move(report)); };
  blocks_ = CutBlocks(options.group_sizes, kSimulatedBlockElements);
  rounds_ =
      std::make_unique<worker::WorkerRounds>(std::move(options), static_cast<worker::ParameterLink*>(this));
  JobPrepared prepared;
  prepared.set_job(request.job());
  if (request.derive()) *prepared.mutable_plan() = plan;
  choice_.OnPrepared(request, prepared);
  ReportPrepared();
}

// ---- ParameterLink ----

void SimulatedWorker::SetView(const View& view) {
  Disconnect();
  view_ = view;
}

void SimulatedWorker::AskVersions() {
  Disconnect();
  for (int i = 0; i < view_.shards_size(); ++i) AskShard(i);
}

void SimulatedWorker::Open(Version from) {
  Disconnect();
  broken_pushes_.clear();
  pulls_.assign(view_.shards_size(), nullptr);
  for (int i = 0; i < view_.shards_size(); ++i) OpenPull(i, from);
}

void SimulatedWorker::Disconnect() {
  ++opening_;
  for (const auto& pull : pulls_) pull->open = false;
}

void SimulatedWorker::Resume() {
  if (!waiting_.empty()) InJob(absl::ZeroDuration(), [this] { OfferWaiting(); });
}

void SimulatedWorker::Push(worker::BlockContribution contribution) {
  Delivery delivery;
  delivery.header = contribution.header;
  delivery.header.set_view(view_.view());
  const absl::Span<const float> values(contribution.values, contribution.size);
  delivery.payload =
      Payload::CopyOf({reinterpret_cast<const uint8_t*>(values.data()), values.size() * sizeof(float)});
  delivery.header.set_crc32c(BlockChecksum(delivery.header, delivery.payload.Crc32c()));
  const uint32_t shard = delivery.header.block() % view_.shards_size();
  Send(shard, std::move(delivery));
}

// ---- streams ----

void SimulatedWorker::AskShard(uint32_t shard) {
  const uint64_t opening = opening_;
  const ViewId view(view_.view());
  const std::string address = view_.shards(shard).primary().address();
  cluster_->queue().After(cluster_->Delay(), [this, opening, view, shard, address] {
    SimulatedServer* const server = cluster_->ServerAt(address);
    absl::StatusOr<server::VersionRange> versions = absl::UnavailableError("nobody there");
    if (server != nullptr && !server->frozen()) versions = server->Versions(view);
    After(cluster_->Delay(), [this, opening, view, shard, versions] {
      if (opening != opening_ || rounds_ == nullptr) return;
      if (!versions.ok()) {
        return After(kRetry, [this, opening, shard] {
          if (opening == opening_ && rounds_ != nullptr) AskShard(shard);
        });
      }
      rounds_->OnVersions(view, shard, versions->lowest);
      Pump();
    });
  });
}

void SimulatedWorker::OpenPull(uint32_t shard, Version from) {
  const uint64_t opening = opening_;
  auto pull = std::make_shared<SimulatedPull>();
  pull->view = ViewId(view_.view());
  pull->shard = shard;
  pull->from = from;
  pull->deliver = [this, opening, view = pull->view](const server::PublishedVersion& published,
                                                     BlockId block) {
    After(absl::ZeroDuration(), [this, opening, view, published, block] {
      if (opening != opening_ || rounds_ == nullptr) return;
      PublishedHeader header;
      header.set_view(view.value());
      header.set_version(published.version.value());
      header.set_block(block.value());
      if (!Offer(header, published)) waiting_.push_back({header, published, opening});
      Pump();
    });
  };
  pull->end = [this, opening, shard, view = pull->view](const absl::Status& status) {
    After(kRetry, [this, opening, shard, view, status] {
      if (opening != opening_ || rounds_ == nullptr) return;
      if (absl::IsOutOfRange(status)) {
        rounds_->OnOutOfRange(view);
        return Pump();
      }
      OpenPull(shard, rounds_->PullFrom());
    });
  };
  pulls_[shard] = pull;
  const std::string address = view_.shards(shard).primary().address();
  cluster_->queue().After(cluster_->Delay(), [this, pull, address] {
    SimulatedServer* const server = cluster_->ServerAt(address);
    if (server == nullptr || server->frozen()) return pull->end(absl::UnavailableError("nobody there"));
    server->Subscribe(pull);
  });
}

bool SimulatedWorker::Offer(const PublishedHeader& header, const server::PublishedVersion& published) {
  float* values = nullptr;
  const worker::WorkerCore::Offer offer = rounds_->OfferBlock(header, &values);
  if (offer == worker::WorkerCore::Offer::kWait) return false;
  if (offer == worker::WorkerCore::Offer::kDrop) return true;
  DecodePayload(published.wire, published.payload, absl::MakeSpan(values, blocks_[header.block()].size));
  rounds_->BlockStored(header);
  return true;
}

void SimulatedWorker::OfferWaiting() {
  std::vector<Waiting> waiting;
  waiting.swap(waiting_);
  for (Waiting& block : waiting) {
    if (block.opening != opening_) continue;
    if (!Offer(block.header, block.published)) waiting_.push_back(std::move(block));
  }
  Pump();
}

void SimulatedWorker::Send(uint32_t shard, Delivery delivery) {
  if (broken_pushes_.count(shard) > 0) return;  // all that is held goes again
  EventQueue& queue = cluster_->queue();
  const Hardship& hardship = cluster_->hardship();
  if (queue.Chance(hardship.break_stream)) return PushBroken(shard);
  if (queue.Chance(hardship.duplicate)) Deliver(shard, delivery);
  Deliver(shard, std::move(delivery));
}

// Messages of one stream may overtake each other here: harder than gRPC.
void SimulatedWorker::Deliver(uint32_t shard, Delivery delivery) {
  const uint64_t opening = opening_;
  const std::string address = view_.shards(shard).primary().address();
  Payload sent = delivery.payload;
  if (cluster_->queue().Chance(cluster_->hardship().damage)) {
    std::vector<uint8_t> bytes(sent.slices()[0].begin(), sent.slices()[0].end());
    bytes[cluster_->queue().Below(bytes.size())] ^= 0x10;
    sent = Payload::CopyOf(bytes);
  }
  cluster_->queue().After(cluster_->Delay(),
                          [this, opening, shard, address, sent, delivery = std::move(delivery)] {
                            SimulatedServer* const server = cluster_->ServerAt(address);
                            absl::Status status = absl::UnavailableError("nobody there");
                            if (server != nullptr && !server->frozen())
                              status = server->Contribute(delivery.header, sent).status();
                            if (status.ok()) return;
                            After(cluster_->Delay(), [this, opening, shard, delivery, status] {
                              if (opening != opening_ || rounds_ == nullptr) return;
                              if (absl::IsDataLoss(status)) return Send(shard, delivery);
                              PushBroken(shard);
                            });
                          });
}

// The stream is opened again after a while, and all that is held for the shard pushed again.
void SimulatedWorker::PushBroken(uint32_t shard) {
  if (!broken_pushes_.insert(shard).second) return;
  const uint64_t opening = opening_;
  InJob(kRetry, [this, opening, shard] {
    if (opening != opening_) return;
    broken_pushes_.erase(shard);
    rounds_->OnPushReopened(rounds_->view(), shard);
  });
}

// ---- runner ----

void SimulatedWorker::InJob(absl::Duration delay, std::function<void()> event) {
  After(delay, [this, life = life_, event = std::move(event)] {
    if (life == life_ && rounds_ != nullptr) event();
  });
}

void SimulatedWorker::Pump() {
  if (rounds_ == nullptr || busy_ || !rounds_->NextSlot()) return;
  busy_ = true;
  InJob(absl::Microseconds(10), [this] { BeginSlot(); });
}

// Waits for all blocks of the version (polling: simulated time costs nothing).
void SimulatedWorker::BeginSlot() {
  const std::optional<worker::SlotRun> run = rounds_->NextSlot();
  if (!run) {
    busy_ = false;
    return;
  }
  EventQueue& queue = cluster_->queue();
  if (run->set != EVALUATION_SET_NONE) {
    return InJob(queue.Between(absl::Microseconds(100), absl::Milliseconds(1)),
                 [this, run] { EndEvaluation(*run); });
  }
  if (!rounds_->AllGroupsHere()) return InJob(absl::Microseconds(200), [this] { BeginSlot(); });
  InJob(queue.Between(absl::Microseconds(200), absl::Milliseconds(2)),
        [this, run, gradient = rounds_->BeginGradient()] { EndTraining(*run, gradient); });
}

void SimulatedWorker::EndTraining(const worker::SlotRun& run, float* gradient) {
  busy_ = false;
  if (rounds_->Wanted()) {
    const uint64_t elements = rounds_->elements();
    rounds_->SetStats(SimulatedGradient(RoundFrom(run.version), run.slot, absl::MakeSpan(run.theta, elements),
                                        absl::MakeSpan(gradient, elements)));
    for (int group = rounds_->groups() - 1; group >= 0; --group) {
      if (const auto reduced = rounds_->Reduce(group)) rounds_->Hold(*reduced);
    }
    rounds_->EndTraining(absl::OkStatus());
  } else {
    rounds_->EndTraining(absl::CancelledError("not wanted"));
  }
  Pump();
}

void SimulatedWorker::EndEvaluation(const worker::SlotRun& run) {
  busy_ = false;
  rounds_->EndEvaluation(
      SimulatedEvaluation(run.set, run.slot, absl::MakeSpan(run.theta, rounds_->elements())));
  Pump();
}

}  // namespace shoal::simulation
