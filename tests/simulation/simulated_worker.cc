#include "tests/simulation/simulated_worker.h"

#include <algorithm>
#include <utility>

#include "common/block_checksum.h"
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
  ++opening_;
  for (const auto& pull : pulls_) pull->open = false;
  pulls_.clear();
  waiting_.clear();
  held_.clear();
  reducer_.reset();
  core_.reset();
  view_.Clear();
  busy_ = false;
}

void SimulatedWorker::DropAll() {
  choice_.Clear();
  DropJob();
}

// ---- control ----

void SimulatedWorker::OnSessionOpened() {
  if (core_ == nullptr) return;
  ReportPrepared();
  core_->OnSessionOpened();
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
  if (core_ == nullptr) return;
  if (directive.has_view() && choice_.Holds(directive.view().job())) {
    if (ViewId(directive.view().view()) > core_->view()) {
      view_ = directive.view();
      open_ = false;
      ++opening_;
    }
    core_->OnView(directive.view());
  }
  if (directive.has_target() && choice_.Holds(directive.target().job())) core_->OnTarget(directive.target());
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
  job_ = request.job();
  const JobPlan plan = request.derive() ? SimulatedPlan() : request.plan();
  tree_ = SlotTree(request.spec().train().slots());
  const std::vector<uint64_t> sizes(plan.group_sizes().begin(), plan.group_sizes().end());
  blocks_ = CutBlocks(sizes, kSimulatedBlockElements);
  groups_.clear();
  uint64_t offset = 0;
  for (uint64_t size : sizes) {
    groups_.push_back({offset, size});
    offset += size;
  }
  pool_ = ArrayPool::Create();
  for (auto& theta : theta_) theta.assign(offset, 0);
  core_ = std::make_unique<worker::WorkerCore>(worker::WorkerCore::Options{
      JobId(job_), NodeId(id()), request.spec().train().slots(), static_cast<uint32_t>(blocks_.size())});
  JobPrepared prepared;
  prepared.set_job(job_);
  if (request.derive()) *prepared.mutable_plan() = plan;
  choice_.OnPrepared(prepared);
  ReportPrepared();
}

void SimulatedWorker::Pump() {
  if (core_ == nullptr || pumping_) return;
  pumping_ = true;
  CarryOut();
  pumping_ = false;
  OfferWaiting();
  if (core_ == nullptr || busy_) return;
  work_ = core_->NextWork();
  if (work_.kind == worker::Work::Kind::kNone) return;
  busy_ = true;
  unit_ = 0;
  slot_ = 0;
  const uint64_t life = life_;
  After(absl::Microseconds(10), [this, life] {
    if (life != life_) return;
    if (work_.kind == worker::Work::Kind::kTrain) {
      StepTraining();
    } else {
      StepEvaluation();
    }
  });
}

void SimulatedWorker::CarryOut() {
  for (worker::WorkerAction& action : core_->TakeActions()) {
    if (std::holds_alternative<worker::AskVersions>(action)) {
      open_ = false;
      ++opening_;
      for (int i = 0; i < view_.shards_size(); ++i) AskShard(i);
    } else if (auto* open = std::get_if<worker::OpenStreams>(&action)) {
      open_ = true;
      ++opening_;
      broken_pushes_.clear();
      pulls_.assign(view_.shards_size(), nullptr);
      for (int i = 0; i < view_.shards_size(); ++i) OpenPull(i, open->from);
      for (const Held& held : held_) PushHeld(held, -1);
    } else if (std::holds_alternative<worker::Disconnect>(action)) {
      open_ = false;
      ++opening_;
    } else if (auto* release = std::get_if<worker::ReleaseHeld>(&action)) {
      const Round over = release->round;
      held_.erase(std::remove_if(held_.begin(), held_.end(), [&](const Held& h) { return h.round <= over; }),
                  held_.end());
    } else if (std::holds_alternative<worker::DropHeld>(action)) {
      held_.clear();
    } else if (auto* send = std::get_if<worker::SendReport>(&action)) {
      Report(std::move(send->report));
    }
  }
}

// ---- data plane ----

void SimulatedWorker::AskShard(uint32_t shard) {
  const uint64_t opening = opening_;
  const ViewId view(view_.view());
  const std::string address = view_.shards(shard).primary().address();
  cluster_->queue().After(cluster_->Delay(), [this, opening, view, shard, address] {
    SimulatedServer* const server = cluster_->ServerAt(address);
    absl::StatusOr<server::VersionRange> versions = absl::UnavailableError("nobody there");
    if (server != nullptr && !server->frozen()) versions = server->Versions(view);
    After(cluster_->Delay(), [this, opening, view, shard, versions] {
      if (opening != opening_ || core_ == nullptr) return;
      if (!versions.ok()) {
        return After(kRetry, [this, opening, shard] {
          if (opening == opening_ && core_ != nullptr) AskShard(shard);
        });
      }
      core_->OnVersions(view, shard, versions->lowest);
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
      if (opening != opening_ || core_ == nullptr) return;
      if (!Offer(view, published, block)) waiting_.push_back({view, published, block, opening});
      Pump();
    });
  };
  pull->end = [this, opening, shard, view = pull->view](const absl::Status& status) {
    After(kRetry, [this, opening, shard, view, status] {
      if (opening != opening_ || core_ == nullptr) return;
      if (absl::IsOutOfRange(status)) {
        core_->OnOutOfRange(view);
        return Pump();
      }
      OpenPull(shard, core_->PullFrom());
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

bool SimulatedWorker::Offer(ViewId view, const server::PublishedVersion& published, BlockId block) {
  const worker::WorkerCore::Offer offer = core_->OfferBlock(view, published.version, block);
  if (offer == worker::WorkerCore::Offer::kWait) return false;
  if (offer == worker::WorkerCore::Offer::kDrop) return true;
  const BlockSpec& spec = blocks_[block.value()];
  DecodePayload(published.wire, published.payload,
                absl::MakeSpan(theta_[published.version.value() % 2]).subspan(spec.offset, spec.size));
  core_->BlockStored(view, published.version, block);
  return true;
}

void SimulatedWorker::OfferWaiting() {
  std::vector<Waiting> waiting;
  waiting.swap(waiting_);
  bool taken = false;
  for (Waiting& block : waiting) {
    if (block.opening != opening_ || core_ == nullptr) continue;
    if (Offer(block.view, block.published, block.block)) {
      taken = true;
    } else {
      waiting_.push_back(std::move(block));
    }
  }
  if (taken) Pump();
}

void SimulatedWorker::PushHeld(const Held& held, int shard) {
  for (uint32_t b = 0; b < blocks_.size(); ++b) {
    const uint32_t place = b % view_.shards_size();
    if (static_cast<int>(blocks_[b].group) != held.group || (shard >= 0 && static_cast<int>(place) != shard))
      continue;
    Delivery delivery;
    ContributionHeader& header = delivery.header;
    header.set_job(job_);
    header.set_view(view_.view());
    header.set_round(held.round.value());
    header.set_slot_begin(held.node.begin);
    header.set_slot_end(held.node.end);
    header.set_block(b);
    *header.mutable_stats() = held.stats;
    const absl::Span<const float> values(held.gradient.get() + blocks_[b].offset, blocks_[b].size);
    delivery.payload =
        Payload::CopyOf({reinterpret_cast<const uint8_t*>(values.data()), values.size() * sizeof(float)});
    header.set_crc32c(BlockChecksum(header, delivery.payload.Crc32c()));
    Push(place, std::move(delivery));
  }
}

void SimulatedWorker::Push(uint32_t shard, Delivery delivery) {
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
                              if (opening != opening_ || core_ == nullptr) return;
                              if (absl::IsDataLoss(status)) return Push(shard, delivery);
                              PushBroken(shard);
                            });
                          });
}

// The stream is opened again after a while, and all that is held for the shard pushed again.
void SimulatedWorker::PushBroken(uint32_t shard) {
  if (!broken_pushes_.insert(shard).second) return;
  const uint64_t opening = opening_;
  After(kRetry, [this, opening, shard] {
    if (opening != opening_ || !open_) return;
    broken_pushes_.erase(shard);
    const std::vector<Held> held = held_;
    for (const Held& one : held) PushHeld(one, static_cast<int>(shard));
  });
}

// ---- runner ----

void SimulatedWorker::StepTraining() {
  if (unit_ == work_.units.size()) return EndWork();
  const SlotRange unit = work_.units[unit_];
  if (reducer_ == nullptr) {
    const auto on_final = [this](SlotRange node, int group, const worker::GradientBuffer& gradient,
                                 const ContributionStats& stats) {
      if (!core_->Wanted(work_.ticket)) return;
      held_.push_back({RoundFrom(work_.version), node, group, gradient, stats});
      if (open_) PushHeld(held_.back(), -1);
    };
    reducer_ = std::make_unique<worker::UnitReducer>(
        worker::UnitReducer::Options{tree_, unit, WIRE_FORMAT_F32, groups_, on_final}, pool_);
    slot_ = unit.begin;
  }
  if (slot_ == unit.end) return FinishUnit();
  BeginSlot();
}

// Waits for all blocks of the version (polling: simulated time costs nothing), then runs the slot.
void SimulatedWorker::BeginSlot() {
  const Slot slot(slot_);
  if (!core_->Wanted(work_.ticket) || !core_->Assigned(slot)) return GiveUpUnit();
  const uint64_t life = life_;
  for (uint32_t b = 0; b < blocks_.size(); ++b) {
    if (core_->HasBlock(work_.version, BlockId(b))) continue;
    return After(absl::Microseconds(200), [this, life] {
      if (life == life_) BeginSlot();
    });
  }
  RunSlot(slot);
}

void SimulatedWorker::RunSlot(Slot slot) {
  float* const gradient = reducer_->BeginSlot(slot);
  reducer_->SetStats(SimulatedGradient(RoundFrom(work_.version), slot, theta_[work_.version.value() % 2],
                                       absl::MakeSpan(gradient, theta_[0].size())));
  for (int group = static_cast<int>(groups_.size()) - 1; group >= 0; --group) reducer_->GroupFinal(group);
  reducer_->EndSlot();
  ++slot_;
  const uint64_t life = life_;
  After(cluster_->queue().Between(absl::Microseconds(200), absl::Milliseconds(2)), [this, life] {
    if (life == life_) StepTraining();
  });
}

void SimulatedWorker::GiveUpUnit() {
  for (SlotRange node : reducer_->Flush()) core_->UnitDone(work_.ticket, node);
  reducer_.reset();
  EndWork();
}

void SimulatedWorker::FinishUnit() {
  reducer_.reset();
  core_->UnitDone(work_.ticket, work_.units[unit_]);
  ++unit_;
  Pump();
  StepTraining();
}

void SimulatedWorker::StepEvaluation() {
  if (slot_ == work_.slots.size() || !core_->Wanted(work_.ticket)) return EndWork();
  const Slot slot = work_.slots[slot_++];
  core_->SlotEvaluated(work_.ticket, slot,
                       SimulatedEvaluation(work_.set, slot, theta_[work_.version.value() % 2]));
  Pump();
  const uint64_t life = life_;
  After(cluster_->queue().Between(absl::Microseconds(100), absl::Milliseconds(1)), [this, life] {
    if (life == life_) StepEvaluation();
  });
}

void SimulatedWorker::EndWork() {
  core_->EndWork(work_.ticket);
  busy_ = false;
  Pump();
}

}  // namespace shoal::simulation
