#include "server/checkpoint_writer.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "common/job/checkpoint_plan.h"

namespace shoal::server {
namespace {

// After this long, a version that may turn out to be the best gives way to the training, which is waiting.
constexpr absl::Duration kCandidatePatience = absl::Minutes(1);
constexpr BackoffOptions kBackoff = {absl::Milliseconds(250), absl::Seconds(5)};

CheckpointUse UseOf(const ShardConfig& job, Version version) {
  if (version.value() == job.length.rounds) return CheckpointUse::kResult;
  return IsCandidate(job.spec, job.length, version) ? CheckpointUse::kCandidate : CheckpointUse::kRestart;
}

}  // namespace

CheckpointWriter::CheckpointWriter(Options options)
    : options_(std::move(options)),
      env_(options_.env, [this](absl::string_view) { NoteProgress(); }),
      backoff_(options_.self.value(), kBackoff) {}

void CheckpointWriter::Begin(const View& view) {
  const RestoreId restore_id(view.restore().restore_id());
  absl::MutexLock lock(&mutex_);
  training_id_ = view.training_id();
  if (restore_id == restore_id_) return;
  restore_id_ = restore_id;
  written_.clear();
  snapshots_.Clear();
  retried_.reset();
}

void CheckpointWriter::Close() {
  absl::MutexLock lock(&mutex_);
  closed_ = true;
}

bool CheckpointWriter::IsCurrent(RestoreId restore_id) const { return !closed_ && restore_id == restore_id_; }

// ---- snapshots ----

bool CheckpointWriter::HasRoom(Version version) const {
  if (UseOf(*options_.job, version) != CheckpointUse::kCandidate) return true;
  absl::MutexLock lock(&mutex_);
  return snapshots_.HasRoomForCandidate();
}

void CheckpointWriter::Add(std::shared_ptr<const ShardSnapshot> snapshot) {
  absl::MutexLock lock(&mutex_);
  if (!IsCurrent(snapshot->restore_id)) return;
  const CheckpointUse use = UseOf(*options_.job, snapshot->version);
  const SnapshotQueue::Snapshot given_up = snapshots_.Add(std::move(snapshot), use);
  if (given_up != nullptr) {
    const ShardWritten written = NewWritten(
        *given_up, absl::AbortedError("dropped: the disk can't keep up with the job's checkpoints"));
    LogWarning("Job ", written.job(), ": checkpoint of version ", written.version(), " ", written.error());
    Report(written);
  }
  if (std::exchange(posted_, true)) return;
  progress_ = options_.files->Now();
  options_.files->Post([this] { WriteNext(); });
}

void CheckpointWriter::AddLost(const ShardSnapshot& snapshot, const absl::Status& why) {
  absl::MutexLock lock(&mutex_);
  const ShardWritten written = NewWritten(snapshot, why);
  LogError("Job ", written.job(), ": checkpoint of version ", written.version(), ": ", written.error());
  Report(written);
}

SnapshotQueue::Snapshot CheckpointWriter::Take() {
  if (closed_) return nullptr;
  return retried_ != nullptr ? std::exchange(retried_, nullptr) : snapshots_.Take();
}

// ---- writing ----

void CheckpointWriter::WriteNext() {
  SnapshotQueue::Snapshot snapshot = StartNext();
  if (snapshot == nullptr) return;
  options_.on_room();
  const absl::StatusOr<CheckpointShard> shard = Write(*snapshot);
  options_.before_report();
  OnWritten(std::move(snapshot), shard);
}

SnapshotQueue::Snapshot CheckpointWriter::StartNext() {
  absl::MutexLock lock(&mutex_);
  SnapshotQueue::Snapshot snapshot = Take();
  if (snapshot == nullptr) {
    posted_ = false;
    return nullptr;
  }
  writing_ = snapshot->version;
  progress_ = options_.files->Now();
  return snapshot;
}

absl::StatusOr<CheckpointShard> CheckpointWriter::Write(const ShardSnapshot& snapshot) {
  ShardFile file;
  file.job = options_.job->job.value();
  file.writer = options_.self.value();
  file.version = snapshot.version;
  file.restore_id = snapshot.restore_id;
  file.shard = snapshot.shard;
  file.shards = snapshot.shards;
  file.array_names = options_.job->array_names;
  for (const BlockSnapshot& block : snapshot.blocks) {
    BlockToWrite& out = file.blocks.emplace_back();
    out.block = block.block;
    out.theta = absl::MakeConstSpan(block.theta.get(), block.size);
    for (const StateArray& array : block.arrays) out.arrays.push_back(array.span());
  }
  return WriteShardFile(&env_, options_.folder, file);
}

void CheckpointWriter::OnWritten(SnapshotQueue::Snapshot snapshot,
                                 const absl::StatusOr<CheckpointShard>& shard) {
  absl::MutexLock lock(&mutex_);
  writing_.reset();
  ShardWritten written = NewWritten(*snapshot, shard);
  if (!shard.ok() && full_since_ == absl::InfiniteFuture()) {  // only once for a disk that stays full
    LogError("Job ", written.job(), ": checkpoint of version ", written.version(), ": ",
             shard.status().ToString());
  }
  if (IsRetried(*snapshot, shard.status())) {
    written.set_retried(true);
    retried_ = std::move(snapshot);
    options_.report(ReportOf(written));
    return options_.files->After(backoff_.NextDelay(), [this] { WriteNext(); });
  }
  Report(written);
  options_.files->Post([this] { WriteNext(); });
}

// A snapshot still in memory is written when there is room again, unless a snapshot that serves as well, or
// the training, is waiting for it.
bool CheckpointWriter::IsRetried(const ShardSnapshot& snapshot, const absl::Status& status) {
  if (!MayBeWrittenLater(status)) {
    full_since_ = absl::InfiniteFuture();
    backoff_.Reset();
    return false;
  }
  full_since_ = std::min(full_since_, options_.files->Now());
  if (!IsCurrent(snapshot.restore_id)) return false;
  switch (UseOf(*options_.job, snapshot.version)) {
    case CheckpointUse::kRestart:
      return snapshots_.size() == 0;
    case CheckpointUse::kCandidate:
      return snapshots_.HasRoomForCandidate() || options_.files->Now() - full_since_ < kCandidatePatience;
    default:
      return true;
  }
}

// ---- reports ----

ShardWritten CheckpointWriter::NewWritten(const ShardSnapshot& snapshot,
                                          const absl::StatusOr<CheckpointShard>& shard) const {
  ShardWritten written;
  written.set_job(options_.job->job.value());
  written.set_restore_id(snapshot.restore_id.value());
  written.set_version(snapshot.version.value());
  written.set_shard(snapshot.shard);
  if (shard.ok()) {
    written.set_file(shard->file());
    written.set_bytes(shard->bytes());
    written.set_sha256(shard->sha256());
    *written.mutable_block_crc32c() = shard->block_crc32c();
  } else {
    written.set_error(std::string(shard.status().message()));
    written.set_not_finite(absl::IsOutOfRange(shard.status()));
  }
  return written;
}

NodeReport CheckpointWriter::ReportOf(const ShardWritten& written) const {
  NodeReport report;
  report.set_training_id(training_id_);
  *report.mutable_shard_written() = written;
  return report;
}

void CheckpointWriter::Report(const ShardWritten& written) {
  if (!IsCurrent(RestoreId(written.restore_id()))) return;
  written_.push_back(ReportOf(written));
  options_.report(written_.back());
  if (written_.size() > kMaxWritten) written_.pop_front();
}

void CheckpointWriter::RepeatReports() const {
  absl::MutexLock lock(&mutex_);
  if (closed_) return;
  for (const NodeReport& written : written_) options_.report(written);
}

// ---- progress ----

void CheckpointWriter::NoteProgress() {
  absl::MutexLock lock(&mutex_);
  progress_ = options_.files->Now();
}

std::optional<CheckpointWriter::Writing> CheckpointWriter::writing() const {
  absl::MutexLock lock(&mutex_);
  if (!posted_) return std::nullopt;
  return Writing{Detail(), progress_};
}

size_t CheckpointWriter::waiting() const {
  absl::MutexLock lock(&mutex_);
  return snapshots_.size() + (retried_ != nullptr);
}

std::string CheckpointWriter::Detail() const {
  const std::string detail = writing_              ? absl::StrCat("writes version ", writing_->value())
                             : retried_ != nullptr ? absl::StrCat("can't write version ",
                                                                  retried_->version.value(), ", trying again")
                                                   : "about to write";
  if (snapshots_.size() == 0) return detail;
  const char* const wait = snapshots_.size() == 1 ? " snapshot waits, " : " snapshots wait, ";
  return absl::StrCat(detail, "; ", snapshots_.size(), wait, snapshots_.bytes() >> 20, " MiB");
}

}  // namespace shoal::server
