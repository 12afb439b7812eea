#include "server/shard_host.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/job/checkpoint_plan.h"
#include "common/storage/checkpoint.h"
#include "common/storage/restore_trouble.h"
#include "spdlog/spdlog.h"

namespace shoal::server {
namespace {

constexpr absl::Duration kReportEvery = absl::Milliseconds(50);
// How often to report what the shard waits for while there is no progress, for `shoal status`.
constexpr absl::Duration kReportIdle = absl::Seconds(1);
constexpr absl::Duration kNormsTimeout = absl::Seconds(2);
constexpr absl::Duration kNormsRetry = absl::Milliseconds(50);
// Normally not needed: a peer that was not complete yet asks back once it is.
constexpr absl::Duration kRepeatNorms = absl::Seconds(1);

// After this long, a version that may turn out to be the best gives way to the training, which is waiting.
constexpr absl::Duration kCandidatePatience = absl::Minutes(1);
constexpr BackoffOptions kWriteBackoff = {absl::Milliseconds(250), absl::Seconds(5)};

// Whether the error comes from the transport rather than the peer.
bool IsNoAnswer(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) || absl::IsCancelled(status);
}

// Whether the round that leads to `version` is in `rounds`.
bool HasRoundTo(const std::deque<RoundStats>& rounds, Version version) {
  return std::any_of(rounds.begin(), rounds.end(),
                     [&](const RoundStats& round) { return round.round() + 1 == version.value(); });
}

}  // namespace

// Posts events from outside to the job's timers for as long as the job exists.
class ShardHost::Life {
 public:
  explicit Life(ShardHost* job) : job_(job) {}

  void Post(std::function<void(ShardHost*)> task) {
    absl::MutexLock lock(&mutex_);
    if (job_ == nullptr) return;
    job_->timers_->Post([job = job_, task = std::move(task)] { task(job); });
  }
  void End() {
    absl::MutexLock lock(&mutex_);
    job_ = nullptr;
  }

 private:
  absl::Mutex mutex_;
  ShardHost* job_ ABSL_GUARDED_BY(mutex_);
};

ShardHost::ShardHost(Options options, std::shared_ptr<const ShardConfig> job)
    : options_(std::move(options)),
      job_(std::move(job)),
      source_(options_.env, job_, options_.fetch, [this](absl::string_view) { NoteRestoreProgress(); }),
      checkpoint_env_(options_.env, [this](absl::string_view) { NoteWriteProgress(); }),
      shard_(std::make_unique<ShardCore>(job_, options_.self, this, &source_)),
      life_(std::make_shared<Life>(this)),
      write_backoff_(options_.self.value(), kWriteBackoff),
      pool_(options_.threads),
      timers_(options_.executors("timers")),
      updates_(options_.executors("updates")),
      files_(options_.executors("files")),
      restores_(options_.executors("restores")) {
  timers_->After(kReportIdle, [this] { ReportWhenIdle(); });
}

void ShardHost::Close() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  shard_->Close();
  EndStreams(ViewId(0), absl::FailedPreconditionError("the job has ended on this server"));
}

ShardHost::~ShardHost() {
  Close();
  life_->End();
  restores_->Stop();
  updates_->Stop();
  files_->Stop();
  timers_->Stop();
}

// ---- views ----

absl::Status ShardHost::Install(const View& view) {
  const ViewId id(view.view());
  {
    absl::MutexLock lock(&mutex_);
    SHOAL_RETURN_IF_ERROR(CheckSuccessor(view, view_));
    if (stopping_) return absl::OkStatus();
    if (view.view() > view_.view()) {
      if (view.restore().restore_id() != view_.restore().restore_id()) {
        written_.clear();
        snapshots_.Clear();
        retried_.reset();
      }
      view_ = view;
      installed_.reset();
      peers_.clear();
    }
    if (queued_ == id) return absl::OkStatus();
    queued_ = id;
    restoring_ = Restoring{id, 0, 0, timers_->Now()};
  }
  shard_->Expect(view);
  EndStreams(id, absl::FailedPreconditionError("the view has ended"));
  restores_->Post([this, view] { Restore(view); });
  return absl::OkStatus();
}

void ShardHost::Restore(const View& view) {
  const ViewId id(view.view());
  {
    absl::MutexLock lock(&mutex_);
    if (queued_ == id) queued_ = ViewId(0);
    if (stopping_ || view_.view() != view.view()) return;
    if (!restoring_) restoring_ = Restoring{id, 0, 0, timers_->Now()};  // the view was sent again meanwhile
  }
  absl::Status status = shard_->Install(view);
  // A file that is missing because the whole folder is missing is a storage problem, not damage.
  if (IsCheckpointDamage(status) && !view.restore().checkpoint().empty()) {
    const absl::Status storage = CheckStorage(options_.env, DirName(view.restore().checkpoint()));
    if (!storage.ok()) status = storage;
  }
  ViewInstalled installed;
  installed.set_job(this->id().value());
  installed.set_view(view.view());
  installed.set_error(std::string(status.message()));
  if (!view.restore().checkpoint().empty()) installed.set_trouble(RestoreTroubleOf(status));
  {
    absl::MutexLock lock(&mutex_);
    if (stopping_ || view_.view() != view.view()) return;
    installed_ = installed;
    restoring_.reset();
  }
  if (status.ok()) {
    spdlog::info("Job {}: serving view {}", this->id().value(), view.view());
  } else {
    spdlog::error("Job {}: view {} can't be served: {}", this->id().value(), view.view(), status.ToString());
  }
  ReportInstalled();
}

void ShardHost::ReportInstalled() {
  {
    absl::MutexLock lock(&mutex_);
    if (stopping_ || !installed_) return;
    NodeReport report = NewReport();
    *report.mutable_view_installed() = *installed_;
    options_.report(std::move(report));
  }
  ReportProgress();
}

void ShardHost::OnSessionOpened() {
  {
    absl::MutexLock lock(&mutex_);
    unreported_ = rounds_.size();
  }
  ReportInstalled();
  absl::MutexLock lock(&mutex_);
  if (stopping_) return;
  for (const NodeReport& written : written_) options_.report(written);
}

// ---- streams ----

absl::Status ShardHost::Attach(std::shared_ptr<WorkerStream> stream) {
  absl::MutexLock lock(&mutex_);
  if (stopping_) return absl::FailedPreconditionError("the job has ended on this server");
  SHOAL_RETURN_IF_ERROR(CheckKey(stream->view(), KeyOf(view_)));
  if (streams_.size() >= kMaxStreams) {
    return absl::ResourceExhaustedError(
        absl::StrCat(kMaxStreams, " streams are open already: try again when one has ended"));
  }
  streams_.push_back(std::move(stream));
  return absl::OkStatus();
}

void ShardHost::Detach(const std::shared_ptr<WorkerStream>& stream) {
  absl::MutexLock lock(&mutex_);
  streams_.erase(std::remove(streams_.begin(), streams_.end(), stream), streams_.end());
}

void ShardHost::EndStreams(ViewId except, const absl::Status& status) {
  std::vector<std::shared_ptr<WorkerStream>> ended;
  {
    absl::MutexLock lock(&mutex_);
    for (auto it = streams_.begin(); it != streams_.end();) {
      if ((*it)->view().view == except) {
        ++it;
        continue;
      }
      ended.push_back(*it);
      it = streams_.erase(it);
    }
  }
  for (const auto& stream : ended) stream->End(status);
}

void ShardHost::OnPublished(ViewId view, BlockId block) {
  std::vector<std::shared_ptr<WorkerStream>> streams;
  {
    absl::MutexLock lock(&mutex_);
    updated_ = timers_->Now();
    for (const auto& stream : streams_) {
      if (stream->view().view == view) streams.push_back(stream);
    }
  }
  for (const auto& stream : streams) stream->Wake(block);
}

// ---- norms ----

void ShardHost::AskNorms(ViewId view, uint32_t peer, const NormsRequest& request) {
  {
    absl::MutexLock lock(&mutex_);
    Peer* const found = FindPeer(view, peer);
    if (found == nullptr || request.round() < found->request.round()) return;
    found->request = request;
    found->wanted = true;
    found->again = true;
    // A call in progress is followed by another; after an error, the backoff decides when.
    if (found->calling || !found->error.ok()) return;
  }
  CallPeer(view, peer);
}

// Returns null when the view is over or has no such shard.
ShardHost::Peer* ShardHost::FindPeer(ViewId view, uint32_t peer) {
  if (stopping_ || view_.view() != view.value() || peer >= static_cast<uint32_t>(view_.shards_size()))
    return nullptr;
  return &peers_[peer];
}

void ShardHost::CallPeer(ViewId view, uint32_t peer, std::optional<uint64_t> calls) {
  std::string address;
  NormsRequest request;
  {
    absl::MutexLock lock(&mutex_);
    Peer* const found = FindPeer(view, peer);
    if (found == nullptr || !found->wanted || found->calling) return;
    if (calls && *calls != found->calls) return;
    found->calling = true;
    found->again = false;
    ++found->calls;
    request = found->request;
    address = view_.shards(static_cast<int>(peer)).primary().address();
  }
  options_.peers->GetNorms(address, request, kNormsTimeout,
                           [life = life_, request, peer](absl::StatusOr<Norms> answer) {
                             // On the timers: this may run inside the call that asked.
                             life->Post([request, peer, answer = std::move(answer)](ShardHost* job) {
                               job->OnNormsAnswer(request, peer, answer);
                             });
                           });
}

void ShardHost::OnNormsAnswer(const NormsRequest& request, uint32_t peer,
                              const absl::StatusOr<Norms>& answer) {
  const ViewId view(request.view());
  const absl::StatusOr<bool> complete =
      answer.ok() ? TakeNorms(request, peer, *answer) : absl::StatusOr<bool>(answer.status());
  absl::Duration wait;
  uint64_t calls;
  {
    absl::MutexLock lock(&mutex_);
    Peer* const found = FindPeer(view, peer);
    if (found == nullptr) return;
    wait = NoteAnswer(peer, Round(request.round()), complete.status());
    found->calling = false;
    const bool newest = request.round() == found->request.round();
    if (complete.value_or(false) && newest) found->wanted = false;
    if (!found->wanted) return;
    if (complete.ok()) wait = found->again || !newest ? absl::ZeroDuration() : kRepeatNorms;
    calls = found->calls;
  }
  if (wait == absl::ZeroDuration()) return CallPeer(view, peer);
  timers_->After(wait, [this, view, peer, calls] { CallPeer(view, peer, calls); });
}

absl::StatusOr<bool> ShardHost::TakeNorms(const NormsRequest& request, uint32_t peer, const Norms& answer) {
  if (answer.squared_norms_size() == 0) return false;
  if (KeyOf(answer) != KeyOf(request) || answer.shard() != peer || answer.round() != request.round()) {
    return absl::InvalidArgumentError(absl::StrCat("it answers with norms of ", KeyOf(answer).ToString(),
                                                   ", shard ", answer.shard(), ", round ", answer.round(),
                                                   "; expected ", KeyOf(request).ToString(), ", shard ", peer,
                                                   ", round ", request.round()));
  }
  const absl::Status status = shard_->OnNorms(answer);
  if (absl::IsFailedPrecondition(status)) return false;  // the view has ended here
  if (!status.ok()) return status;
  return true;
}

// A peer that has not installed the view yet, or is in another round, is reachable. One that refuses the
// norms, or sends wrong ones, is reachable too, but the round can no more end than with an unreachable one:
// the scheduler must be told.
absl::Duration ShardHost::NoteAnswer(uint32_t peer, Round round, const absl::Status& status) {
  Peer& known = peers_[peer];
  const NodeRef& node = view_.shards(static_cast<int>(peer)).primary();
  if (status.ok() || absl::IsFailedPrecondition(status)) {
    if (!known.error.ok()) {
      spdlog::info("Job {}: {} at {} answers again", id().value(), node.name(), node.address());
    }
    known.error = absl::OkStatus();
    known.backoff.Reset();
    return kNormsRetry;
  }
  if (known.error.ok()) known.failed = timers_->Now();
  if (IsNoAnswer(status)) {
    if (known.error.ok()) {
      spdlog::warn("Job {}: {} at {} can't be reached; retrying: {}", id().value(), node.name(),
                   node.address(), status.ToString());
    }
    known.error = status;
    return kNormsRetry;
  }
  known.error = absl::Status(status.code(),
                             absl::StrCat("norms of round ", round.value(), " refused: ", status.message()));
  if (known.warned != round) {
    spdlog::warn("Job {}: {} at {}: {}", id().value(), node.name(), node.address(), known.error.ToString());
  }
  known.warned = round;
  return known.backoff.NextDelay();
}

// ---- reports ----

void ShardHost::OnProgress(const ShardProgress& progress) {
  absl::MutexLock lock(&mutex_);
  for (const RoundStats& round : progress.rounds()) {
    rounds_.push_back(round);
    ++unreported_;
  }
  while (rounds_.size() > kMaxRounds) rounds_.pop_front();
  unreported_ = std::min<uint64_t>(unreported_, rounds_.size());
  ReportSoon();
}

// Reports now, or kReportEvery after the last report.
void ShardHost::ReportSoon() {
  if (report_due_) return;
  report_due_ = true;
  const absl::Duration wait = reported_ + kReportEvery - timers_->Now();
  timers_->After(std::max(wait, absl::ZeroDuration()), [this] { ReportProgress(); });
}

void ShardHost::ReportWhenIdle() {
  timers_->After(kReportIdle, [this] { ReportWhenIdle(); });
  {
    absl::MutexLock lock(&mutex_);
    if (report_due_ || timers_->Now() - reported_ < kReportIdle) return;
  }
  ReportProgress();
}

// Blocks reach a version before its round's statistics are known here. The scheduler must not learn of one
// without the other: once it has judged a version, that version's metrics are final.
Version ShardHost::KnownVersion(Version version) const {
  while (version.value() > view_.restore().version() && !HasRoundTo(rounds_, version)) version = version - 1;
  return version;
}

void ShardHost::ReportProgress() {
  auto progress = shard_->Progress();
  absl::MutexLock lock(&mutex_);
  report_due_ = false;
  if (!progress || stopping_) return;
  for (auto round = rounds_.end() - static_cast<std::ptrdiff_t>(unreported_); round != rounds_.end();
       ++round) {
    *progress->add_rounds() = *round;
  }
  if (progress->shard() == 0) progress->set_version(KnownVersion(Version(progress->version())).value());
  // Rounds of blocks that were updated in parallel may be out of order.
  std::sort(progress->mutable_rounds()->begin(), progress->mutable_rounds()->end(),
            [](const RoundStats& a, const RoundStats& b) { return a.round() < b.round(); });
  unreported_ = 0;
  reported_ = timers_->Now();
  NodeReport report = NewReport();
  *report.mutable_shard_progress() = *std::move(progress);
  options_.report(std::move(report));
}

// ---- checkpoints ----

CheckpointUse ShardHost::UseOf(Version version) const {
  if (version.value() == job_->length.rounds) return CheckpointUse::kResult;
  return IsCandidate(job_->spec, job_->length, version) ? CheckpointUse::kCandidate : CheckpointUse::kRestart;
}

bool ShardHost::HasRoomForSnapshot(Version version) {
  if (UseOf(version) != CheckpointUse::kCandidate) return true;
  absl::MutexLock lock(&mutex_);
  return snapshots_.HasRoomForCandidate();
}

void ShardHost::OnSnapshot(std::shared_ptr<const ShardSnapshot> snapshot) {
  absl::MutexLock lock(&mutex_);
  if (stopping_ || snapshot->restore_id != RestoreId(view_.restore().restore_id())) return;
  const CheckpointUse use = UseOf(snapshot->version);
  const SnapshotQueue::Snapshot given_up = snapshots_.Add(std::move(snapshot), use);
  if (given_up != nullptr) {
    const ShardWritten written = NewWritten(
        *given_up, absl::AbortedError("dropped: the disk can't keep up with the job's checkpoints"));
    spdlog::warn("Job {}: checkpoint of version {} {}", id().value(), written.version(), written.error());
    ReportWritten(written);
  }
  if (std::exchange(write_posted_, true)) return;
  write_progress_ = timers_->Now();
  files_->Post([this] { WriteNextSnapshot(); });
}

void ShardHost::OnSnapshotLost(const ShardSnapshot& snapshot, const absl::Status& why) {
  absl::MutexLock lock(&mutex_);
  const ShardWritten written = NewWritten(snapshot, why);
  spdlog::error("Job {}: checkpoint of version {}: {}", id().value(), written.version(), written.error());
  ReportWritten(written);
}

// The snapshot being retried, or the next one; null: there is none, or the job is over.
SnapshotQueue::Snapshot ShardHost::TakeSnapshot() {
  if (stopping_) return nullptr;
  return retried_ != nullptr ? std::exchange(retried_, nullptr) : snapshots_.Take();
}

void ShardHost::WriteNextSnapshot() {
  SnapshotQueue::Snapshot snapshot;
  {
    absl::MutexLock lock(&mutex_);
    snapshot = TakeSnapshot();
    if (snapshot == nullptr) {  // its restore point is over
      write_posted_ = false;
      return;
    }
    writing_ = snapshot->version;
    write_progress_ = timers_->Now();
  }
  Execute([this] { shard_->ResumeUpdates(); });
  const absl::StatusOr<CheckpointShard> shard = WriteSnapshot(*snapshot);
  ReportProgress();  // first, so that a version's statistics arrive before its checkpoint
  absl::MutexLock lock(&mutex_);
  writing_.reset();
  ShardWritten written = NewWritten(*snapshot, shard);
  if (!shard.ok() && full_since_ == absl::InfiniteFuture()) {  // only once for a disk that stays full
    spdlog::error("Job {}: checkpoint of version {}: {}", id().value(), written.version(),
                  shard.status().ToString());
  }
  if (IsRetried(*snapshot, shard.status())) {
    written.set_retried(true);
    retried_ = std::move(snapshot);
    Report(written);
    return files_->After(write_backoff_.NextDelay(), [this] { WriteNextSnapshot(); });
  }
  ReportWritten(written);
  files_->Post([this] { WriteNextSnapshot(); });
}

// A snapshot still in memory is written when there is room again, unless a snapshot that serves as well, or
// the training, is waiting for it.
bool ShardHost::IsRetried(const ShardSnapshot& snapshot, const absl::Status& status) {
  if (!MayBeWrittenLater(status)) {
    full_since_ = absl::InfiniteFuture();
    write_backoff_.Reset();
    return false;
  }
  full_since_ = std::min(full_since_, timers_->Now());
  if (stopping_ || snapshot.restore_id != RestoreId(view_.restore().restore_id())) return false;
  switch (UseOf(snapshot.version)) {
    case CheckpointUse::kRestart:
      return snapshots_.size() == 0;
    case CheckpointUse::kCandidate:
      return snapshots_.HasRoomForCandidate() || timers_->Now() - full_since_ < kCandidatePatience;
    default:
      return true;
  }
}

ShardWritten ShardHost::NewWritten(const ShardSnapshot& snapshot,
                                   const absl::StatusOr<CheckpointShard>& shard) const {
  ShardWritten written;
  written.set_job(id().value());
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

absl::StatusOr<CheckpointShard> ShardHost::WriteSnapshot(const ShardSnapshot& snapshot) {
  ShardFile file;
  file.job = id().value();
  file.writer = options_.self.value();
  file.version = snapshot.version;
  file.restore_id = snapshot.restore_id;
  file.shard = snapshot.shard;
  file.shards = snapshot.shards;
  file.moment_names = job_->moment_names;
  for (const BlockSnapshot& block : snapshot.blocks) {
    BlockToWrite& out = file.blocks.emplace_back();
    out.block = block.block;
    out.theta = absl::MakeConstSpan(block.theta.get(), block.size);
    for (const FloatArray& moment : block.moments)
      out.moments.push_back(absl::MakeConstSpan(moment.get(), block.size));
  }
  return WriteShardFile(&checkpoint_env_, options_.checkpoint_dir, file);
}

NodeReport ShardHost::NewReport() const {
  NodeReport report;
  report.set_training_id(view_.training_id());
  return report;
}

void ShardHost::Report(const ShardWritten& written) {
  NodeReport report = NewReport();
  *report.mutable_shard_written() = written;
  options_.report(std::move(report));
}

void ShardHost::ReportWritten(const ShardWritten& written) {
  if (stopping_ || written.restore_id() != view_.restore().restore_id()) return;
  Report(written);
  written_.push_back(NewReport());
  *written_.back().mutable_shard_written() = written;
  if (written_.size() > kMaxWritten) written_.pop_front();
}

// ---- activities ----

// Whichever view's restore is running: there is only one at a time, so its progress counts for a newer view
// too.
void ShardHost::NoteRestoreProgress() {
  absl::MutexLock lock(&mutex_);
  if (restoring_) restoring_->progress = timers_->Now();
}

void ShardHost::NoteWriteProgress() {
  absl::MutexLock lock(&mutex_);
  write_progress_ = timers_->Now();
}

void ShardHost::OnBlockRestored(ViewId view, uint64_t blocks) {
  absl::MutexLock lock(&mutex_);
  // What is loaded for an older view also serves a newer one of the same restore point.
  if (!restoring_ || restoring_->view < view) return;
  restoring_->blocks = blocks;
  ++restoring_->loaded;
  restoring_->progress = timers_->Now();
}

Activity ShardHost::NewActivity(ActivityKind kind, absl::Time progress) const {
  Activity activity;
  activity.set_kind(kind);
  activity.set_job(id().value());
  activity.set_idle_seconds(absl::ToDoubleSeconds(timers_->Now() - progress));
  return activity;
}

std::string ShardHost::WritingDetail() const {
  const std::string detail = writing_              ? absl::StrCat("writes version ", writing_->value())
                             : retried_ != nullptr ? absl::StrCat("can't write version ",
                                                                  retried_->version.value(), ", trying again")
                                                   : "about to write";
  if (snapshots_.size() == 0) return detail;
  const char* const wait = snapshots_.size() == 1 ? " snapshot waits, " : " snapshots wait, ";
  return absl::StrCat(detail, "; ", snapshots_.size(), wait, snapshots_.bytes() >> 20, " MiB");
}

void ShardHost::AddTransfer(Heartbeat* heartbeat) {
  const uint64_t contributions = shard_->contributions();
  if (std::exchange(contributions_, contributions) != contributions) contributed_ = timers_->Now();
  if (!contributed_) return;
  *heartbeat->add_activities() = NewActivity(ACTIVITY_TRANSFER, *contributed_);
  heartbeat->mutable_activities()->rbegin()->set_detail(
      absl::StrCat("takes contributions; ", streams_.size(), " of at most ", kMaxStreams, " streams"));
}

Heartbeat ShardHost::MakeHeartbeat() {
  Heartbeat heartbeat;
  absl::MutexLock lock(&mutex_);
  if (restoring_) {
    Activity& activity = *heartbeat.add_activities();
    activity = NewActivity(ACTIVITY_RESTORE, restoring_->progress);
    activity.set_view(restoring_->view.value());
    const std::string& checkpoint = view_.restore().checkpoint();
    std::string detail = absl::StrCat("loads ", checkpoint.empty() ? "the initial parameters" : checkpoint);
    if (restoring_->blocks > 0)
      absl::StrAppend(&detail, ": ", restoring_->loaded, " of ", restoring_->blocks, " blocks");
    activity.set_detail(std::move(detail));
  }
  if (updates_left_ > 0) *heartbeat.add_activities() = NewActivity(ACTIVITY_UPDATE, updated_);
  if (write_posted_) {
    Activity& activity = *heartbeat.add_activities();
    activity = NewActivity(ACTIVITY_WRITE_CHECKPOINT, write_progress_);
    activity.set_detail(WritingDetail());
  }
  AddTransfer(&heartbeat);
  for (const auto& [shard, peer] : peers_) {
    if (peer.error.ok()) continue;
    UnreachablePeer& unreachable = *heartbeat.add_unreachable();
    *unreachable.mutable_peer() = view_.shards(static_cast<int>(shard)).primary();
    unreachable.set_seconds(absl::ToDoubleSeconds(timers_->Now() - peer.failed));
    unreachable.set_error(std::string(peer.error.message()));
  }
  return heartbeat;
}

// ---- threads ----

void ShardHost::Execute(std::function<void()> work) {
  {
    absl::MutexLock lock(&mutex_);
    if (updates_left_++ == 0) updated_ = timers_->Now();
  }
  updates_->Post([this, work = std::move(work)] {
    work();
    absl::MutexLock lock(&mutex_);
    --updates_left_;
    updated_ = timers_->Now();
  });
}

void ShardHost::ParallelFor(uint64_t count, const std::function<void(uint64_t)>& fn) {
  absl::MutexLock lock(&pool_mutex_);
  pool_.ParallelFor(static_cast<int64_t>(count), [&](int64_t item, int) { fn(static_cast<uint64_t>(item)); });
}

}  // namespace shoal::server
