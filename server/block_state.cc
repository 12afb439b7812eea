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
StateArray CopyOf(const std::shared_ptr<ArrayPool>& pool, const StateArray& from) {
  StateArray copy = {pool->Acquire(from.size), from.size};
  std::memcpy(copy.values.get(), from.values.get(), from.size * sizeof(float));
  return copy;
}

// Grows over the first rounds, so that the average of a short training is not one of its start.
double AverageDecay(double decay, Round round) {
  const double t = static_cast<double>(round.value() + 1);
  return std::min(decay, (1 + t) / (10 + t));
}

}  // namespace

BlockState::BlockState(std::shared_ptr<const ShardConfig> job, BlockId block, std::shared_ptr<ArrayPool> pool,
                       BlockStart start)
    : job_(std::move(job)),
      block_(block),
      format_{job_->wire, job_->blocks[block.value()].size},
      pool_(std::move(pool)),
      tree_(job_->slots),
      ranges_(job_->ranges[block.value()]),
      ledger_(tree_),
      theta_(std::move(start.theta)),
      arrays_(std::move(start.arrays)),
      version_(start.version.value()),
      published_version_(start.version.value()) {
  published_.reserve(job_->rounds->versions_kept());
  published_.push_back(Finish(
      start.version, Encoder(theta_, PayloadEncoder::Memory(format_.wire, format_.size, pool_.get()))));
  absl::MutexLock lock(&mutex_);
  if (job_->average) AppendAverage(AverageMemory(), &published_.back());  // it may be evaluated again
  Reserve();
}

void BlockState::ReserveUpdate() {
  if (next_theta_ == nullptr) next_theta_ = pool_->Acquire(format_.size);
  if (next_encoded_ == nullptr)
    next_encoded_ = PayloadEncoder::Memory(format_.wire, format_.size, pool_.get());
  if (next_average_ == nullptr && job_->publishes_average(version() + 1)) next_average_ = AverageMemory();
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

std::vector<double> BlockState::CompleteSquaredNorms() {
  absl::MutexLock lock(&mutex_);
  SHOAL_CHECK(ledger_.complete() && !closed_);
  std::vector<double> norms = {ledger_.sum().SquaredNorm(format_)};
  if (!job_->adapts_to_norms()) return norms;
  float* const scratch = next_theta_.get();
  Gather(format_, ledger_.sum(), scratch);
  const kernels::OptimizerStep step = StepOf(RoundFrom(version()), ledger_.sum().stats(), RoundVerdict());
  for (const UpdateRange& range : ranges_) {
    if (!range.decay) continue;
    const kernels::LambNorms of_range = NormsOf(range, step, scratch);
    norms.push_back(of_range.parameters);
    norms.push_back(of_range.update);
  }
  return norms;
}

kernels::LambNorms BlockState::NormsOf(const UpdateRange& range, const kernels::OptimizerStep& step,
                                       float* scratch) {
  kernels::LambNorms sum;
  for (uint64_t begin = range.begin; begin < range.end; begin += kSumPiece) {
    const uint64_t size = std::min(kSumPiece, range.end - begin);
    const kernels::LambNorms piece = LambSquaredNorms(
        job_->optimizer, StepOf(step, range), ArraysOf(range, begin, size, scratch + begin, scratch + begin));
    sum.parameters += piece.parameters;
    sum.update += piece.update;
  }
  return sum;
}

std::vector<float> BlockState::RecentNorms() const {
  absl::MutexLock lock(&mutex_);
  if (!job_->recent_norms) return {};
  const absl::Span<const float> norms = arrays_[*job_->recent_norms].span();
  return {norms.begin(), norms.end()};
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
  return {round, ledger_.TakeSum(), RoundVerdict()};
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

kernels::OptimizerStep BlockState::StepOf(Round round, const ContributionStats& stats,
                                          const RoundVerdict& verdict) const {
  kernels::OptimizerStep step;
  step.step = round.value() + 1;
  step.learning_rate = LearningRate(job_->spec, job_->length, round);
  step.gradient_scale = stats.weight() == 0 ? 0 : verdict.clip / static_cast<double>(stats.weight());
  return step;
}

kernels::OptimizerStep BlockState::StepOf(const kernels::OptimizerStep& step,
                                          const UpdateRange& range) const {
  kernels::OptimizerStep of_range = step;
  of_range.decay = range.decay;
  of_range.learning_rate *= range.rate_factor;
  of_range.place = range.place;
  return of_range;
}

kernels::OptimizerArrays BlockState::ArraysOf(const UpdateRange& range, uint64_t begin, uint64_t size,
                                              const float* gradient, float* out) {
  kernels::OptimizerArrays arrays;
  arrays.parameters = absl::MakeConstSpan(theta_.get() + begin, size);
  arrays.gradient = absl::MakeConstSpan(gradient, size);
  arrays.out = absl::MakeSpan(out, size);
  if (job_->first_moment) arrays.first_moment = arrays_[*job_->first_moment].span().subspan(begin, size);
  if (job_->second_moment) {
    arrays.second_moment = arrays_[*job_->second_moment].span().subspan(
        range.second_moment + (begin - range.begin), SecondMomentSize(job_->optimizer, range.place, size));
  }
  return arrays;
}

PublishedVersion BlockState::Update(const BlockRecord& record) {
  FloatArray next = std::move(next_theta_);
  PayloadEncoder encoder = Encoder(next, std::move(next_encoded_));
  if (record.verdict.skipped) {
    std::memcpy(next.get(), theta_.get(), format_.size * sizeof(float));
  } else if (job_->updates_whole_tensors()) {
    UpdateWhole(record, next.get());
  } else {
    UpdateInPieces(record, next.get(), &encoder);
  }
  theta_ = std::move(next);
  if (!record.verdict.skipped) UpdateAverageAndNorms(record);
  PublishedVersion version = Finish(OutputOf(record.round), std::move(encoder));
  if (job_->publishes_average(version.version)) AppendAverage(std::move(next_average_), &version);
  return version;
}

void BlockState::UpdateInPieces(const BlockRecord& record, float* out, PayloadEncoder* encoder) {
  const kernels::OptimizerStep step = StepOf(record.round, record.sum.stats(), record.verdict);
  BlockSumReader reader(format_.wire, record.sum);
  for (uint64_t begin = 0; begin < format_.size; begin += kSumPiece) {
    const absl::Span<const float> gradient = reader.Next(std::min(kSumPiece, format_.size - begin));
    for (const UpdateRange& range : ranges_) {
      const uint64_t first = std::max(begin, range.begin),
                     last = std::min(begin + gradient.size(), range.end);
      if (first >= last) continue;
      kernels::OptimizerStep of_range = StepOf(step, range);
      if (job_->adapts_to_norms() && range.decay)
        of_range.trust_ratio = record.verdict.trust_ratios[range.parameter];
      UpdateParameters(job_->optimizer, of_range,
                       ArraysOf(range, first, last - first, gradient.data() + (first - begin), out + first));
    }
    encoder->Add(gradient.size());
  }
}

void BlockState::UpdateWhole(const BlockRecord& record, float* out) {
  const kernels::OptimizerStep step = StepOf(record.round, record.sum.stats(), record.verdict);
  Gather(format_, record.sum, out);
  for (const UpdateRange& range : ranges_) {
    float* const from = out + range.begin;
    UpdateParameters(job_->optimizer, StepOf(step, range),
                     ArraysOf(range, range.begin, range.end - range.begin, from, from));
  }
}

void BlockState::UpdateAverageAndNorms(const BlockRecord& record) {
  if (job_->average) {
    kernels::UpdateAverage(AverageDecay(job_->average_decay, record.round),
                           absl::MakeConstSpan(theta_.get(), format_.size), arrays_[*job_->average].span());
  }
  if (job_->recent_norms) {
    arrays_[*job_->recent_norms].span()[record.round.value() % kRecentNorms] =
        static_cast<float>(record.verdict.gradient_norm);
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

// A copy, as the average goes on changing: for f32 of the average itself.
FloatArray BlockState::AverageMemory() const {
  if (format_.wire == WIRE_FORMAT_F32) return pool_->Acquire(format_.size);
  return PayloadEncoder::Memory(format_.wire, format_.size, pool_.get());
}

void BlockState::AppendAverage(FloatArray memory, PublishedVersion* version) const {
  absl::Span<const float> average = arrays_[*job_->average].span();
  FloatArray owner;
  if (format_.wire == WIRE_FORMAT_F32) {
    std::memcpy(memory.get(), average.data(), average.size() * sizeof(float));
    average = absl::MakeConstSpan(memory.get(), average.size());
    owner = std::exchange(memory, nullptr);
  }
  std::vector<grpc::Slice> slices = version->payload.slices();
  const Payload encoded =
      PayloadEncoder(format_.wire, std::move(owner), average, std::move(memory)).Finish().payload;
  slices.insert(slices.end(), encoded.slices().begin(), encoded.slices().end());
  version->payload = Payload(std::move(slices));
  version->payload_crc32c = version->payload.Crc32c();
  version->with_average = true;
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
  for (const StateArray& array : arrays_) snapshot.arrays.push_back(CopyOf(pool_, array));
  return snapshot;
}

}  // namespace shoal::server
