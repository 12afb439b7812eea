#include "server/shard_state.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/large_memory.h"
#include "common/base/status.h"
#include "common/job/checkpoint_plan.h"
#include "common/job/schedule.h"
#include "common/protocol/block_checksum.h"

namespace shoal::server {
namespace {

// By block.
std::vector<uint64_t> NormCounts(const ShardConfig& job) {
  std::vector<uint64_t> counts;
  for (uint64_t block = 0; block < job.blocks.size(); ++block)
    counts.push_back(NormCount(job, BlockId(block)));
  return counts;
}

}  // namespace

ShardState::ShardState(std::shared_ptr<const ShardConfig> job, Place place, ShardEffects* host,
                       const std::shared_ptr<ArrayPool>& pool, std::vector<BlockStart> starts)
    : job_(std::move(job)),
      place_(place),
      host_(host),
      norms_(ShardMap(place.shards), NormCounts(*job_)),
      running_(RoundFrom(starts.front().version)) {
  const std::vector<BlockId> ids = Blocks();
  SHOAL_CHECK(ids.size() == starts.size());
  for (size_t i = 0; i < ids.size(); ++i) {
    blocks_.push_back(std::make_unique<BlockState>(job_, ids[i], pool, std::move(starts[i])));
  }
}

ViewKey ShardState::view() const {
  absl::MutexLock lock(&mutex_);
  return view_;
}

void ShardState::Resume(const ViewKey& view) {
  Round round;
  bool complete;
  {
    absl::MutexLock lock(&mutex_);
    view_ = view;
    round = running_;
    complete = norms_.Find(running_, place_.shard) != nullptr;
  }
  if (complete) AskNorms(round);
}

absl::StatusOr<BlockState*> ShardState::Find(uint64_t block) const {
  const ShardMap map(place_.shards);
  if (block >= job_->blocks.size() || !map.Holds(place_.shard, BlockId(block))) {
    return absl::InvalidArgumentError(absl::StrCat("block ", block, " is not in shard ", place_.shard, " of ",
                                                   place_.shards, " (", job_->blocks.size(), " blocks)"));
  }
  return blocks_[map.PlaceOf(BlockId(block))].get();
}

absl::StatusOr<ContributionResult> ShardState::Contribute(const ContributionHeader& header, Payload payload) {
  SHOAL_ASSIGN_OR_RETURN(BlockState * block, Find(header.block()));
  SHOAL_ASSIGN_OR_RETURN(const BlockState::AddResult result, block->Add(header, std::move(payload)));
  if (result == BlockState::AddResult::kDuplicate) return ContributionResult::kDuplicate;
  if (result == BlockState::AddResult::kCompleted) OnComplete(block, Round(header.round()));
  return ContributionResult::kAdded;
}

// ---- the update of a round ----

void ShardState::OnComplete(BlockState* block, Round round) {
  if (!job_->exchanges_norms()) return Update(block, round, RoundVerdict());
  {
    absl::MutexLock lock(&mutex_);
    if (++complete_ < blocks_.size()) return;
    complete_ = 0;
  }
  host_->Execute([self = shared_from_this(), round] { self->CollectNorms(round); });
}

void ShardState::CollectNorms(Round round) {
  std::vector<std::vector<double>> of_blocks(blocks_.size());
  host_->ParallelFor(blocks_.size(), [&](uint64_t i) { of_blocks[i] = blocks_[i]->CompleteSquaredNorms(); });
  std::vector<double> squared_norms;
  for (const std::vector<double>& norms : of_blocks)
    squared_norms.insert(squared_norms.end(), norms.begin(), norms.end());
  {
    absl::MutexLock lock(&mutex_);
    SHOAL_CHECK_OK(norms_.Add(round, place_.shard, std::move(squared_norms)));
  }
  AskNorms(round);
  UpdateOnceJudged(round);
}

void ShardState::AskNorms(Round round) {
  NormsRequest request;
  std::vector<uint32_t> peers;
  {
    absl::MutexLock lock(&mutex_);
    request = NormsRequestOf(round);
    for (uint32_t peer = 0; peer < place_.shards; ++peer) {
      if (Lacks(round, peer)) peers.push_back(peer);
    }
  }
  for (uint32_t peer : peers) host_->AskNorms(ViewId(request.view()), peer, request);
}

// Also true for a peer whose norms are disputed, so that the dispute is reported each time it answers.
bool ShardState::Lacks(Round round, uint32_t peer) const {
  return peer != place_.shard && round == running_ && norms_.Find(round, peer) == nullptr;
}

NormsRequest ShardState::NormsRequestOf(Round round) const {
  NormsRequest request;
  SetKey(view_, &request);
  request.set_round(round.value());
  request.set_shard(place_.shard);
  return request;
}

Norms ShardState::NormsMessage(Round round) const {
  Norms message;
  SetKey(view_, &message);
  message.set_round(round.value());
  message.set_shard(place_.shard);
  if (const std::vector<double>* known = norms_.Find(round, place_.shard)) {
    message.mutable_squared_norms()->Add(known->begin(), known->end());
  }
  message.set_crc32c(NormsChecksum(message));
  return message;
}

absl::StatusOr<Norms> ShardState::GetNorms(const NormsRequest& request) {
  SHOAL_RETURN_IF_ERROR(CheckPeer(request.shard()));
  const Round round(request.round());
  Norms answer;
  NormsRequest back;
  bool lacks;
  {
    absl::MutexLock lock(&mutex_);
    SHOAL_RETURN_IF_ERROR(CheckReached(round));
    answer = NormsMessage(round);
    back = NormsRequestOf(round);
    // If we are not complete ourselves, we ask all peers once we are.
    lacks = answer.squared_norms_size() > 0 && Lacks(round, request.shard());
  }
  if (lacks) host_->AskNorms(ViewId(back.view()), request.shard(), back);
  return answer;
}

absl::Status ShardState::OnNorms(const Norms& norms) {
  SHOAL_RETURN_IF_ERROR(CheckPeer(norms.shard()));
  if (NormsChecksum(norms) != norms.crc32c()) {
    return absl::DataLossError(absl::StrCat("norms of shard ", norms.shard(), " in round ", norms.round(),
                                            ": damaged in transit (checksum mismatch)"));
  }
  const Round round(norms.round());
  bool complete;
  {
    absl::MutexLock lock(&mutex_);
    SHOAL_RETURN_IF_ERROR(CheckReached(round));
    SHOAL_RETURN_IF_ERROR(
        norms_.Add(round, norms.shard(), {norms.squared_norms().begin(), norms.squared_norms().end()}));
    complete = round == running_ && norms_.All(round).has_value();
  }
  if (complete) host_->Execute([self = shared_from_this(), round] { self->UpdateOnceJudged(round); });
  return absl::OkStatus();
}

absl::Status ShardState::CheckPeer(uint32_t shard) const {
  if (!job_->exchanges_norms()) return absl::InvalidArgumentError("norms in a job that exchanges none");
  if (shard < place_.shards && shard != place_.shard) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("norms of shard ", shard, ": expected one of ",
                                                 place_.shards, " other than the receiver's, ",
                                                 place_.shard));
}

// No peer can be further ahead: its next round needs a version of this shard that does not exist yet.
absl::Status ShardState::CheckReached(Round round) const {
  if (round <= running_) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("norms of round ", round.value(), ", but this shard is in round ", running_.value()));
}

void ShardState::UpdateOnceJudged(Round round) {
  RoundVerdict verdict;
  {
    absl::MutexLock lock(&mutex_);
    const auto norms = norms_.All(round);
    if (!norms || round != running_ || updating_) return;
    updating_ = true;
    verdict = JudgeRound(*job_, blocks_.front()->CompleteStats(), *norms, blocks_.front()->RecentNorms());
  }
  host_->ParallelFor(blocks_.size(), [&](uint64_t i) { Update(blocks_[i].get(), round, verdict); });
}

bool ShardState::MayUpdate(Round round) const {
  const Version version = OutputOf(round);
  return !IsCheckpointDue(job_->spec, job_->length, version) || host_->HasRoomForSnapshot(version);
}

void ShardState::ResumeUpdates() {
  std::vector<HeldUpdate> updates;
  {
    absl::MutexLock lock(&mutex_);
    updates.swap(held_);
  }
  for (const HeldUpdate& update : updates) Update(update.block, update.round, update.verdict);
}

void ShardState::Update(BlockState* block, Round round, const RoundVerdict& verdict) {
  if (!MayUpdate(round)) {
    {
      absl::MutexLock lock(&mutex_);
      held_.push_back({block, round, verdict});
    }
    if (MayUpdate(round)) ResumeUpdates();  // room was made in between
    return;
  }
  ContributionStats stats;
  {
    BlockRecord record = block->Close(round);
    record.verdict = verdict;
    stats = record.sum.stats();
    block->Apply(record);
  }  // frees the sum before a snapshot needs memory
  // The block's next update can't start until it is published below, so what it keeps does not change.
  Reached(block, round, stats, verdict);
  block->Publish(OutputOf(round));
  host_->OnPublished(view().view, block->block());
}

// ---- when the whole shard has reached a version ----

// nullopt: the job wants no checkpoint of this version. Running out of memory costs the snapshot, not the
// round.
absl::StatusOr<std::optional<BlockSnapshot>> ShardState::SnapshotOf(BlockState* block,
                                                                    Version version) const {
  if (!IsCheckpointDue(job_->spec, job_->length, version)) return std::nullopt;
  try {
    return block->Snapshot();
  } catch (const std::bad_alloc& error) {
    return NotEnoughMemory(error, absl::StrCat("a copy of the moments of block ", block->block().value()));
  }
}

void ShardState::Reached(BlockState* block, Round round, const ContributionStats& stats,
                         const RoundVerdict& verdict) {
  const Version version = OutputOf(round);
  const absl::StatusOr<std::optional<BlockSnapshot>> copy = SnapshotOf(block, version);
  absl::Status lost;
  ShardProgress progress;
  std::shared_ptr<ShardSnapshot> snapshot;
  {
    absl::MutexLock lock(&mutex_);
    Arrivals& arrivals = arrivals_[version];
    arrivals.stats = stats;
    arrivals.lost.Update(copy.status());
    if (!copy.ok() || copy->has_value()) {
      if (arrivals.snapshot == nullptr) {
        arrivals.snapshot = std::make_shared<ShardSnapshot>();
        *arrivals.snapshot = {place_.restore_id, version, place_.shard, place_.shards, {}};
      }
      if (arrivals.lost.ok()) {
        arrivals.snapshot->blocks.push_back(**copy);
      } else {
        arrivals.snapshot->blocks.clear();
      }
    }
    if (++arrivals.blocks < blocks_.size()) return;
    running_ = RoundFrom(version);
    updating_ = false;
    progress = NewProgress(version);
    if (place_.shard == 0) {
      RoundStats& of_round = *progress.add_rounds();
      of_round.set_round(round.value());
      *of_round.mutable_stats() = arrivals.stats;
      of_round.set_learning_rate(LearningRate(job_->spec, job_->length, round));
      of_round.set_gradient_norm(verdict.gradient_norm);
      of_round.set_skipped(verdict.skipped);
    }
    snapshot = std::move(arrivals.snapshot);
    lost = arrivals.lost;
    arrivals_.erase(arrivals_.begin(), arrivals_.upper_bound(version));
  }
  if (!lost.ok()) {
    host_->OnSnapshotLost(*snapshot, lost);
  } else if (snapshot != nullptr) {
    std::sort(snapshot->blocks.begin(), snapshot->blocks.end(),
              [](const BlockSnapshot& a, const BlockSnapshot& b) { return a.block < b.block; });
    host_->OnSnapshot(std::move(snapshot));
  }
  host_->OnProgress(progress);
}

ShardProgress ShardState::NewProgress(Version version) const {
  ShardProgress progress;
  progress.set_job(job_->job.value());
  progress.set_view(view_.view.value());
  progress.set_shard(place_.shard);
  progress.set_version(version.value());
  return progress;
}

ShardProgress ShardState::Progress() const {
  const BlockState* lowest = blocks_.front().get();
  for (const auto& block : blocks_) {
    if (block->version() < lowest->version()) lowest = block.get();
  }
  ShardProgress progress;
  {
    absl::MutexLock lock(&mutex_);
    progress = NewProgress(lowest->version());
  }
  for (SlotRange range : lowest->Missing()) {
    MissingSlots& missing = *progress.add_missing();
    missing.set_slot_begin(range.begin);
    missing.set_slot_end(range.end);
  }
  return progress;
}

// ---- reading ----

absl::StatusOr<PublishedVersion> ShardState::Published(BlockId block, Version version) const {
  SHOAL_ASSIGN_OR_RETURN(const BlockState* found, Find(block.value()));
  return found->Published(version);
}

VersionRange ShardState::Versions() const {
  VersionRange range = {blocks_.front()->version(), blocks_.front()->version()};
  for (const auto& block : blocks_) {
    range.lowest = std::min(range.lowest, block->version());
    range.highest = std::max(range.highest, block->version());
  }
  return range;
}

}  // namespace shoal::server
