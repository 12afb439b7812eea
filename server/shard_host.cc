#include "server/shard_host.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/protocol/queue_length.h"
#include "common/protocol/view_key.h"
#include "common/storage/checkpoint.h"
#include "common/storage/restore_trouble.h"

namespace shoal::server {
namespace {

constexpr absl::Duration kReportEvery = absl::Milliseconds(50);
// How often to report what the shard waits for while there is no progress, for `shoal status`.
constexpr absl::Duration kReportIdle = absl::Seconds(1);

// Whether the round that leads to `version` is in `rounds`.
bool HasRoundTo(const std::deque<RoundStats>& rounds, Version version) {
  return std::any_of(rounds.begin(), rounds.end(),
                     [&](const RoundStats& round) { return round.round() + 1 == version.value(); });
}

}  // namespace

ShardHost::ShardHost(Options options, std::shared_ptr<const ShardConfig> job)
    : options_(std::move(options)),
      job_(std::move(job)),
      timers_(options_.executors("timers")),
      updates_(options_.executors("updates")),
      files_(options_.executors("files")),
      restores_(options_.executors("restores")),
      source_(options_.env, job_, options_.fetch, [this](absl::string_view) { NoteRestoreProgress(); }),
      shard_(std::make_unique<ShardCore>(job_, options_.self, this, &source_)),
      norms_({job_->job, options_.peers, timers_.get(),
              [this](const Norms& norms) { return shard_->OnNorms(norms); }}),
      checkpoints_(WriterOptions()),
      pool_(options_.threads) {
  timers_->After(kReportIdle, [this] { ReportWhenIdle(); });
}

CheckpointWriter::Options ShardHost::WriterOptions() {
  CheckpointWriter::Options options;
  options.job = job_;
  options.self = options_.self;
  options.folder = options_.checkpoint_dir;
  options.env = options_.env;
  options.files = files_.get();
  options.report = options_.report;
  options.on_room = [this] { Execute([this] { shard_->ResumeUpdates(); }); };
  options.before_report = [this] { ReportProgress(); };
  return options;
}

void ShardHost::Close() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
    norms_.Close();
    checkpoints_.Close();
  }
  shard_->Close();
  streams_.End(ViewId(0), absl::FailedPreconditionError("the job has ended on this server"));
}

ShardHost::~ShardHost() {
  Close();
  restores_->Stop();
  updates_->Stop();
  files_->Stop();
  timers_->Stop();
}

// ---- views ----

absl::Status ShardHost::Install(const View& view) {
  const ViewId id(view.view());
  bool was_queued;
  {
    absl::MutexLock lock(&mutex_);
    SHOAL_RETURN_IF_ERROR(CheckSuccessor(view, view_));
    if (stopping_) return absl::OkStatus();
    if (view.view() > view_.view()) {
      Begin(view);
    } else if (queued_) {
      return absl::OkStatus();
    }
    was_queued = std::exchange(queued_, true);
    restoring_ = Restoring{id, 0, 0, timers_->Now()};
  }
  shard_->Expect(view);
  streams_.End(id, absl::FailedPreconditionError("the view has ended"));
  if (!was_queued) restores_->Post([this] { Restore(); });
  return absl::OkStatus();
}

void ShardHost::Begin(const View& view) {
  view_ = view;
  installed_.reset();
  norms_.Begin(view);
  checkpoints_.Begin(view);
}

void ShardHost::Restore() {
  View view;
  {
    absl::MutexLock lock(&mutex_);
    queued_ = false;
    if (stopping_) return;
    view = view_;
    // Not set when the view was sent again while it was being restored.
    if (!restoring_) restoring_ = Restoring{ViewId(view.view()), 0, 0, timers_->Now()};
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
    LogInfo("Job ", this->id().value(), ": serving view ", view.view());
  } else {
    LogError("Job ", this->id().value(), ": view ", view.view(), " can't be served: ", status.ToString());
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
  checkpoints_.RepeatReports();
}

// ---- streams ----

absl::Status ShardHost::Attach(std::shared_ptr<WorkerStream> stream) {
  // Held until the stream is attached, so that a view that ends meanwhile ends it too.
  absl::MutexLock lock(&mutex_);
  if (stopping_) return absl::FailedPreconditionError("the job has ended on this server");
  SHOAL_RETURN_IF_ERROR(CheckKey(stream->view(), KeyOf(view_)));
  return streams_.Attach(std::move(stream));
}

void ShardHost::Detach(const std::shared_ptr<WorkerStream>& stream) { streams_.Detach(stream); }

void ShardHost::OnPublished(ViewId view, BlockId block) {
  {
    absl::MutexLock lock(&mutex_);
    updated_ = timers_->Now();
  }
  streams_.Wake(view, block);
}

// ---- norms and checkpoints ----

void ShardHost::AskNorms(ViewId view, uint32_t peer, const NormsRequest& request) {
  norms_.Ask(view, peer, request);
}

bool ShardHost::HasRoomForSnapshot(Version version) { return checkpoints_.HasRoom(version); }

void ShardHost::OnSnapshot(std::shared_ptr<const ShardSnapshot> snapshot) {
  checkpoints_.Add(std::move(snapshot));
}

void ShardHost::OnSnapshotLost(const ShardSnapshot& snapshot, const absl::Status& why) {
  checkpoints_.AddLost(snapshot, why);
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

NodeReport ShardHost::NewReport() const {
  NodeReport report;
  report.set_training_id(view_.training_id());
  return report;
}

// ---- activities ----

// Only one restore runs at a time, whichever view it is for, so its progress counts for a newer view too.
void ShardHost::NoteRestoreProgress() {
  absl::MutexLock lock(&mutex_);
  if (restoring_) restoring_->progress = timers_->Now();
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

void ShardHost::AddTransfer(Heartbeat* heartbeat) {
  const uint64_t contributions = shard_->contributions();
  if (std::exchange(contributions_, contributions) != contributions) contributed_ = timers_->Now();
  if (!contributed_) return;
  *heartbeat->add_activities() = NewActivity(ACTIVITY_TRANSFER, *contributed_);
  heartbeat->mutable_activities()->rbegin()->set_detail(absl::StrCat(
      "receives contributions; ", streams_.size(), " of at most ", WorkerStreams::kMaxStreams, " streams"));
}

Activity ShardHost::RestoreActivity() const {
  Activity activity = NewActivity(ACTIVITY_RESTORE, restoring_->progress);
  activity.set_view(restoring_->view.value());
  const std::string& checkpoint = view_.restore().checkpoint();
  std::string detail = absl::StrCat("loads ", checkpoint.empty() ? "the initial parameters" : checkpoint);
  if (restoring_->blocks > 0)
    absl::StrAppend(&detail, ": ", restoring_->loaded, " of ", restoring_->blocks, " blocks");
  activity.set_detail(std::move(detail));
  return activity;
}

void ShardHost::AddActivities(Heartbeat* heartbeat) {
  absl::MutexLock lock(&mutex_);
  if (restoring_) *heartbeat->add_activities() = RestoreActivity();
  if (updates_left_ > 0) *heartbeat->add_activities() = NewActivity(ACTIVITY_UPDATE, updated_);
  if (const auto writing = checkpoints_.writing()) {
    Activity& activity = *heartbeat->add_activities();
    activity = NewActivity(ACTIVITY_WRITE_CHECKPOINT, writing->progress);
    activity.set_detail(writing->detail);
  }
  AddTransfer(heartbeat);
}

Heartbeat ShardHost::MakeHeartbeat() {
  Heartbeat heartbeat;
  AddActivities(&heartbeat);
  norms_.AddUnreachable(&heartbeat);
  AddQueue("streams", streams_.size(), WorkerStreams::kMaxStreams, heartbeat.mutable_queues());
  AddQueue("snapshots", checkpoints_.waiting(), CheckpointWriter::kMaxSnapshots, heartbeat.mutable_queues());
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
