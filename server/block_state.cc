#include "server/block_state.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/base/wire.h"
#include "common/job/schedule.h"
#include "common/protocol/block_checksum.h"

namespace shoal::server {
namespace {

// For snapshots.
FloatArray CopyOf(const std::shared_ptr<ArrayPool>& pool, const FloatArray& from, uint64_t size) {
  FloatArray copy = pool->Acquire(size);
  std::memcpy(copy.get(), from.get(), size * sizeof(float));
  return copy;
}

}  // namespace

BlockState::BlockState(std::shared_ptr<const ShardConfig> job, BlockId block, std::shared_ptr<ArrayPool> pool,
                       BlockStart start)
    : job_(std::move(job)),
      block_(block),
      format_{job_->wire, job_->blocks[block.value()].size},
      pool_(std::move(pool)),
      tree_(job_->slots),
      ranges_(UpdateRanges(*job_, job_->blocks[block.value()])),
      ledger_(tree_),
      theta_(std::move(start.theta)),
      moments_(std::move(start.moments)),
      version_(start.version.value()),
      published_version_(start.version.value()) {
  published_.reserve(job_->rounds->versions_kept());
  published_.push_back(Finish(
      start.version, Encoder(theta_, PayloadEncoder::Memory(format_.wire, format_.size, pool_.get()))));
  absl::MutexLock lock(&mutex_);
  Reserve();
}

void BlockState::ReserveUpdate() {
  if (next_theta_ == nullptr) next_theta_ = pool_->Acquire(format_.size);
  if (next_encoded_ == nullptr)
    next_encoded_ = PayloadEncoder::Memory(format_.wire, format_.size, pool_.get());
}

void BlockState::Reserve() {
  ReserveUpdate();
  // Not needed when one worker reduces all slots itself.
  if (spare_sum_ == nullptr && !ledger_.empty()) spare_sum_ = pool_->Acquire(format_.size);
}

// ---- contributions ----

absl::StatusOr<PieceMap> BlockState::Check(const ContributionHeader& header, const Payload& payload) const {
  const SlotRange range = {header.slot_begin(), header.slot_end()};
  if (!tree_.IsNode(range)) {
    return absl::InvalidArgumentError(
        absl::StrCat("slots ", range.ToString(), " are not a node of the tree over ", job_->slots, " slots"));
  }
  if (header.round() >= job_->length.rounds) {
    return absl::InvalidArgumentError(absl::StrCat("block ", block_.value(), ": a contribution to round ",
                                                   header.round(), ", but the training has ",
                                                   job_->length.rounds, " rounds"));
  }
  if (header.wire() != format_.wire) {
    return absl::InvalidArgumentError(absl::StrCat("block ", block_.value(), ": wire format ", header.wire(),
                                                   ", the job's is ", format_.wire));
  }
  SHOAL_ASSIGN_OR_RETURN(PieceMap pieces, Annotate(PieceMap::Parse(header.pieces(), format_.size),
                                                   absl::StrCat("block ", block_.value())));
  const uint64_t expected = EncodedBytes(format_.wire, pieces.Count(format_.size));
  if (payload.size() != expected) {
    return absl::InvalidArgumentError(
        absl::StrCat("block ", block_.value(), ": ", payload.size(), " bytes, expected ", expected));
  }
  return pieces;
}

absl::StatusOr<bool> BlockState::IsOver(const ContributionHeader& header) const {
  const Version published(published_version_.load(std::memory_order_acquire));
  switch (job_->rounds->TimingOf(Round(header.round()), version(), published)) {
    case RoundPolicy::Timing::kOver:
      return true;
    case RoundPolicy::Timing::kEarly:
      return absl::FailedPreconditionError(
          absl::StrCat("block ", block_.value(), ": a contribution to round ", header.round(),
                       ", but the block is in round ", RoundFrom(published).value()));
    case RoundPolicy::Timing::kOpen:
      break;
  }
  return ledger_.Covers({header.slot_begin(), header.slot_end()});
}

absl::StatusOr<BlockState::AddResult> BlockState::Add(const ContributionHeader& header, Payload payload) {
  SHOAL_ASSIGN_OR_RETURN(PieceMap pieces, Check(header, payload));
  // Reads the whole payload, so not under the lock. Done before the check for duplicates: a flipped bit in
  // the round or slots could make it look like one, and the real contribution would be lost.
  if (BlockChecksum(header, payload.Crc32c()) != header.crc32c()) {
    return absl::DataLossError(
        absl::StrCat("block ", block_.value(), ": damaged in transit (checksum mismatch)"));
  }
  absl::MutexLock lock(&mutex_);
  SHOAL_ASSIGN_OR_RETURN(const bool over, IsOver(header));
  if (over) return AddResult::kDuplicate;
  Reserve();
  FloatArray& spare = spare_sum_;
  const auto merge = [&](BlockSum left, BlockSum right) {
    return BlockSum::Merge(format_, std::move(left), std::move(right), &spare);
  };
  ledger_.Add({header.slot_begin(), header.slot_end()},
              BlockSum(std::move(payload), std::move(pieces), header.stats()), merge);
  return job_->rounds->IsDue(ledger_.complete()) ? AddResult::kCompleted : AddResult::kAdded;
}

ContributionStats BlockState::CompleteStats() const {
  absl::MutexLock lock(&mutex_);
  SHOAL_CHECK(ledger_.complete() && !closed_);
  return ledger_.sum().stats();
}

double BlockState::CompleteSquaredNorm() const {
  absl::MutexLock lock(&mutex_);
  SHOAL_CHECK(ledger_.complete() && !closed_);
  return ledger_.sum().SquaredNorm(format_);
}

std::vector<SlotRange> BlockState::Missing() const {
  absl::MutexLock lock(&mutex_);
  return ledger_.Missing();
}

// ---- the update ----

BlockRecord BlockState::Close(Round round) {
  absl::MutexLock lock(&mutex_);
  SHOAL_CHECK(ledger_.complete() && !closed_ && InputOf(round) == version());
  closed_ = true;
  return {round, ledger_.TakeSum()};
}

void BlockState::Apply(const BlockRecord& record) {
  absl::MutexLock lock(&mutex_);
  SHOAL_CHECK(InputOf(record.round) == version());
  ReserveUpdate();
  PublishedVersion applied = Update(record);
  ledger_.Clear();
  closed_ = false;
  version_.store(applied.version.value(), std::memory_order_release);
  absl::MutexLock published_lock(&published_mutex_);
  applied_ = std::move(applied);
}

kernels::OptimizerStep BlockState::StepOf(const BlockRecord& record) const {
  const uint64_t weight = record.sum.stats().weight();
  kernels::OptimizerStep step;
  step.step = record.round.value() + 1;
  step.learning_rate = LearningRate(job_->spec, job_->length, record.round);
  step.gradient_scale = weight == 0 ? 0 : record.clip / static_cast<double>(weight);
  return step;
}

PublishedVersion BlockState::Update(const BlockRecord& record) {
  const kernels::OptimizerStep step = StepOf(record);
  FloatArray next = std::move(next_theta_);
  PayloadEncoder encoder = Encoder(next, std::move(next_encoded_));
  BlockSumReader reader(format_.wire, record.sum);
  for (uint64_t begin = 0; begin < format_.size; begin += kSumPiece) {
    const uint64_t count = std::min(kSumPiece, format_.size - begin);
    UpdatePiece(step, begin, reader.Next(count), next.get());
    encoder.Add(count);
  }
  theta_ = std::move(next);
  return Finish(OutputOf(record.round), std::move(encoder));
}

void BlockState::UpdatePiece(const kernels::OptimizerStep& step, uint64_t begin,
                             absl::Span<const float> gradient, float* out) {
  const uint64_t end = begin + gradient.size();
  for (const UpdateRange& range : ranges_) {
    const uint64_t first = std::max(begin, range.begin), last = std::min(end, range.end);
    if (first >= last) continue;
    const uint64_t size = last - first;
    kernels::OptimizerStep part = step;
    part.decay = range.decay;
    part.learning_rate *= range.rate_factor;
    kernels::OptimizerArrays arrays;
    arrays.parameters = absl::MakeConstSpan(theta_.get() + first, size);
    arrays.gradient = gradient.subspan(first - begin, size);
    if (!moments_.empty()) arrays.first_moment = absl::MakeSpan(moments_[0].get() + first, size);
    if (moments_.size() > 1) arrays.second_moment = absl::MakeSpan(moments_[1].get() + first, size);
    arrays.out = absl::MakeSpan(out + first, size);
    kernels::UpdateParameters(job_->optimizer, part, arrays);
  }
}

// ---- versions ----

// For float32 the published version is the slice of θ itself; otherwise an encoded copy.
PayloadEncoder BlockState::Encoder(const FloatArray& theta, FloatArray memory) const {
  return PayloadEncoder(format_.wire, theta, absl::MakeConstSpan(theta.get(), format_.size),
                        std::move(memory));
}

PublishedVersion BlockState::Finish(Version version, PayloadEncoder encoder) const {
  PayloadEncoder::Encoded encoded = encoder.Finish();
  return {version, format_.wire, encoded.crc32c, std::move(encoded.payload)};
}

void BlockState::Publish(Version version) {
  absl::MutexLock lock(&published_mutex_);
  SHOAL_CHECK(applied_ && applied_->version == version);
  if (published_.size() == job_->rounds->versions_kept()) published_.erase(published_.begin());
  published_.push_back(*std::exchange(applied_, std::nullopt));
  published_version_.store(version.value(), std::memory_order_release);
}

absl::StatusOr<PublishedVersion> BlockState::Published(Version version) const {
  absl::MutexLock lock(&published_mutex_);
  for (const PublishedVersion& kept : published_) {
    if (kept.version == version) return kept;
  }
  const Version newest = published_.back().version;
  const std::string where = absl::StrCat("block ", block_.value(), " is at version ", newest.value());
  if (newest + 1 == version) return absl::UnavailableError(where);
  return absl::OutOfRangeError(absl::StrCat(where, ", and version ", version.value(),
                                            version < newest ? " has been dropped" : " is not the next one"));
}

BlockSnapshot BlockState::Snapshot() const {
  absl::MutexLock lock(&mutex_);
  BlockSnapshot snapshot;
  snapshot.block = block_;
  snapshot.size = format_.size;
  snapshot.theta = theta_;
  for (const FloatArray& moment : moments_) snapshot.moments.push_back(CopyOf(pool_, moment, format_.size));
  return snapshot;
}

}  // namespace shoal::server
