#include "server/server_job.h"

#include <algorithm>
#include <utility>

#include "common/checkpoint.h"
#include "common/status.h"
#include "spdlog/spdlog.h"

namespace shoal::server {
namespace {

constexpr absl::Duration kReportEvery = absl::Milliseconds(50);
// A restarted scheduler may have forgotten so many.
constexpr size_t kRoundsKept = 1000;
// A scheduler that was away may have missed so many checkpoints; older ones are of no use to it.
constexpr size_t kWrittenKept = 100;
// Without progress: what the shard waits for, for the status.
constexpr absl::Duration kReportIdle = absl::Seconds(1);
constexpr absl::Duration kNormsTimeout = absl::Seconds(2);
constexpr absl::Duration kNormsRetry = absl::Milliseconds(50);

}  // namespace

struct ServerJob::NormsCall {
  ViewId view;
  uint32_t peer = 0;
  Norms request;
};

// Hands what comes from outside to the job's timers as long as there is a job.
class ServerJob::Life {
 public:
  explicit Life(ServerJob* job) : job_(job) {}

  void Post(std::function<void(ServerJob*)> task) {
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
  ServerJob* job_ ABSL_GUARDED_BY(mutex_);
};

ServerJob::ServerJob(Options options, std::shared_ptr<const ShardJob> job)
    : options_(std::move(options)),
      job_(std::move(job)),
      source_(options_.env, job_, options_.fetch),
      shard_(std::make_unique<JobShard>(job_, options_.self, this, &source_)),
      life_(std::make_shared<Life>(this)),
      pool_(options_.threads),
      timers_(options_.executors("timers")),
      updates_(options_.executors("updates")),
      files_(options_.executors("files")),
      restores_(options_.executors("restores")) {
  timers_->After(kReportIdle, [this] { ReportWhenIdle(); });
}

void ServerJob::Close() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  shard_->Close();
  EndStreams(ViewId(0), absl::FailedPreconditionError("the job is over here"));
}

ServerJob::~ServerJob() {
  Close();
  life_->End();
  restores_->Stop();
  updates_->Stop();
  files_->Stop();
  timers_->Stop();
}

// ---- views ----

void ServerJob::Install(const View& view) {
  const ViewId id(view.view());
  {
    absl::MutexLock lock(&mutex_);
    if (stopping_ || view.view() < view_.view()) return;
    if (view.view() > view_.view()) {
      if (view.restore().restore_id() != view_.restore().restore_id()) written_.clear();
      view_ = view;
      installed_.reset();
    }
    if (queued_ == id) return;
    queued_ = id;
  }
  shard_->Expect(view);
  EndStreams(id, absl::FailedPreconditionError("the view is over"));
  restores_->Post([this, view] { Restore(view); });
}

void ServerJob::Restore(const View& view) {
  const ViewId id(view.view());
  {
    absl::MutexLock lock(&mutex_);
    if (queued_ == id) queued_ = ViewId(0);
  }
  if (!IsNewest(id)) return;
  const absl::Status status = shard_->Install(view);
  ViewInstalled installed;
  installed.set_job(this->id().value());
  installed.set_view(view.view());
  installed.set_error(std::string(status.message()));
  {
    absl::MutexLock lock(&mutex_);
    if (stopping_ || view_.view() != view.view()) return;
    installed_ = installed;
  }
  if (status.ok()) {
    spdlog::info("Job {}: serving view {}", this->id().value(), view.view());
  } else {
    spdlog::error("Job {}: view {} can't be served: {}", this->id().value(), view.view(), status.ToString());
  }
  ReportInstalled();
}

bool ServerJob::IsNewest(ViewId view) {
  absl::MutexLock lock(&mutex_);
  return !stopping_ && view_.view() == view.value();
}

void ServerJob::ReportInstalled() {
  {
    absl::MutexLock lock(&mutex_);
    if (stopping_ || !installed_) return;
    NodeReport report;
    *report.mutable_view_installed() = *installed_;
    options_.report(std::move(report));
  }
  ReportProgress();
}

void ServerJob::OnSessionOpened() {
  {
    absl::MutexLock lock(&mutex_);
    unreported_ = rounds_.size();
  }
  ReportInstalled();
  absl::MutexLock lock(&mutex_);
  if (stopping_) return;
  for (const NodeReport& written : written_) options_.report(written);
}

// ---- pulls ----

absl::Status ServerJob::Subscribe(std::shared_ptr<PullStream> stream) {
  absl::MutexLock lock(&mutex_);
  if (stopping_) return absl::FailedPreconditionError("the job is over here");
  if (stream->view().value() != view_.view()) return absl::FailedPreconditionError("the view is over");
  streams_.insert(std::move(stream));
  return absl::OkStatus();
}

void ServerJob::Unsubscribe(const std::shared_ptr<PullStream>& stream) {
  absl::MutexLock lock(&mutex_);
  streams_.erase(stream);
}

void ServerJob::EndStreams(ViewId except, const absl::Status& status) {
  std::vector<std::shared_ptr<PullStream>> ended;
  {
    absl::MutexLock lock(&mutex_);
    for (auto it = streams_.begin(); it != streams_.end();) {
      if ((*it)->view() == except) {
        ++it;
        continue;
      }
      ended.push_back(*it);
      it = streams_.erase(it);
    }
  }
  for (const auto& stream : ended) stream->End(status);
}

void ServerJob::OnPublished(ViewId view, BlockId block) {
  std::vector<std::shared_ptr<PullStream>> streams;
  {
    absl::MutexLock lock(&mutex_);
    for (const auto& stream : streams_) {
      if (stream->view() == view) streams.push_back(stream);
    }
  }
  for (const auto& stream : streams) stream->Wake(block);
}

// ---- norms ----

void ServerJob::SendNorms(ViewId view, uint32_t peer, const Norms& norms) {
  std::string address;
  {
    absl::MutexLock lock(&mutex_);
    if (stopping_ || view_.view() != view.value() || peer >= static_cast<uint32_t>(view_.shards_size()))
      return;
    address = view_.shards(static_cast<int>(peer)).primary().address();
  }
  options_.peers->ExchangeNorms(
      address, norms, kNormsTimeout,
      [life = life_, call = NormsCall{view, peer, norms}](absl::StatusOr<Norms> answer) {
        // On the timers: this may be inside the call that sent the norms.
        life->Post([call, answer = std::move(answer)](ServerJob* job) { job->OnNormsAnswer(call, answer); });
      });
}

void ServerJob::OnNormsAnswer(const NormsCall& call, const absl::StatusOr<Norms>& answer) {
  if (!answer.ok()) {
    timers_->After(kNormsRetry, [this, call] { SendNorms(call.view, call.peer, call.request); });
    return;
  }
  if (answer->squared_norms_size() == 0) return;
  const auto known = shard_->OnNorms(*answer);
  if (!known.ok() && !absl::IsFailedPrecondition(known.status())) {
    spdlog::warn("Job {}: norms of shard {}: {}", id().value(), call.peer, known.status().ToString());
  }
}

// ---- reports ----

void ServerJob::OnProgress(const ShardProgress& progress) {
  absl::MutexLock lock(&mutex_);
  for (const RoundStats& round : progress.rounds()) {
    rounds_.push_back(round);
    ++unreported_;
  }
  while (rounds_.size() > kRoundsKept) rounds_.pop_front();
  unreported_ = std::min<uint64_t>(unreported_, rounds_.size());
  ReportSoon();
}

// Now, or kReportEvery after the last report.
void ServerJob::ReportSoon() {
  if (report_due_) return;
  report_due_ = true;
  const absl::Duration wait = reported_ + kReportEvery - timers_->Now();
  timers_->After(std::max(wait, absl::ZeroDuration()), [this] { ReportProgress(); });
}

void ServerJob::ReportWhenIdle() {
  timers_->After(kReportIdle, [this] { ReportWhenIdle(); });
  {
    absl::MutexLock lock(&mutex_);
    if (report_due_ || timers_->Now() - reported_ < kReportIdle) return;
  }
  ReportProgress();
}

void ServerJob::ReportProgress() {
  auto progress = shard_->Progress();
  absl::MutexLock lock(&mutex_);
  report_due_ = false;
  if (!progress || stopping_) return;
  for (auto round = rounds_.end() - static_cast<std::ptrdiff_t>(unreported_); round != rounds_.end();
       ++round) {
    *progress->add_rounds() = *round;
  }
  // Rounds of blocks that were updated side by side may have swapped.
  std::sort(progress->mutable_rounds()->begin(), progress->mutable_rounds()->end(),
            [](const RoundStats& a, const RoundStats& b) { return a.round() < b.round(); });
  unreported_ = 0;
  reported_ = timers_->Now();
  NodeReport report;
  *report.mutable_shard_progress() = *std::move(progress);
  options_.report(std::move(report));
}

// ---- checkpoints ----

void ServerJob::OnSnapshot(std::shared_ptr<const ShardSnapshot> snapshot) {
  files_->Post([this, snapshot = std::move(snapshot)] {
    {
      absl::MutexLock lock(&mutex_);
      if (stopping_) return;
    }
    WriteSnapshot(*snapshot);
  });
}

void ServerJob::WriteSnapshot(const ShardSnapshot& snapshot) {
  ShardFile file;
  file.job = id().value();
  file.writer = options_.self.value();
  file.version = snapshot.version;
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
  const auto shard = WriteShardFile(options_.env, options_.checkpoint_dir, file);
  NodeReport report;
  ShardWritten& written = *report.mutable_shard_written();
  written.set_job(id().value());
  written.set_restore_id(snapshot.restore_id);
  written.set_version(snapshot.version.value());
  written.set_shard(snapshot.shard);
  if (shard.ok()) {
    written.set_file(shard->file());
    written.set_bytes(shard->bytes());
    written.set_sha256(shard->sha256());
  } else {
    spdlog::error("Job {}: checkpoint of version {}: {}", id().value(), snapshot.version.value(),
                  shard.status().ToString());
    written.set_error(std::string(shard.status().message()));
  }
  ReportProgress();  // first, so that a version's statistics are known when its checkpoint is
  absl::MutexLock lock(&mutex_);
  if (stopping_ || snapshot.restore_id != view_.restore().restore_id()) return;
  written_.push_back(report);
  if (written_.size() > kWrittenKept) written_.pop_front();
  options_.report(std::move(report));
}

// ---- threads ----

void ServerJob::Execute(std::function<void()> work) { updates_->Post(std::move(work)); }

void ServerJob::ParallelFor(uint64_t count, const std::function<void(uint64_t)>& fn) {
  absl::MutexLock lock(&pool_mutex_);
  pool_.ParallelFor(static_cast<int64_t>(count), [&](int64_t item, int) { fn(static_cast<uint64_t>(item)); });
}

}  // namespace shoal::server
