#include "server/server_job.h"

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "common/checkpoint.h"
#include "common/rpc.h"
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
  std::unique_ptr<ParameterService::Stub> stub;
  grpc::ClientContext context;
  Norms request;
  Norms reply;
};

ServerJob::ServerJob(Options options, std::shared_ptr<const ShardJob> job)
    : options_(std::move(options)),
      job_(std::move(job)),
      source_(options_.env, job_, options_.fetch),
      shard_(std::make_unique<JobShard>(job_, options_.self, this, &source_)),
      pool_(options_.threads) {
  timers_.After(kReportEvery, [this] { ReportWhenDue(); });
}

void ServerJob::Close() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
    for (NormsCall* call : calls_) call->context.TryCancel();
  }
  EndStreams(ViewId(0), absl::FailedPreconditionError("the job is over here"));
}

ServerJob::~ServerJob() {
  Close();
  timers_.Stop();
  updates_.Stop();
  files_.Stop();
  const auto over = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return calls_.empty(); };
  absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(&over));  // cancelled, and each has a deadline
}

// ---- views ----

void ServerJob::Install(const View& view) {
  {
    absl::MutexLock lock(&mutex_);
    if (view.view() < view_.view()) return;
    if (view.view() > view_.view()) {
      if (view.restore().restore_id() != view_.restore().restore_id()) written_.clear();
      view_ = view;
      for (NormsCall* call : calls_) call->context.TryCancel();
    }
  }
  EndStreams(ViewId(view.view()), absl::FailedPreconditionError("the view is over"));
  const absl::Status status = shard_->Install(view);
  if (status.ok()) {
    spdlog::info("Job {}: serving view {}", id().value(), view.view());
  } else {
    spdlog::error("Job {}: view {} can't be served: {}", id().value(), view.view(), status.ToString());
  }
  ReportInstalled(view.view(), std::string(status.message()));
}

void ServerJob::ReportInstalled(uint64_t view, const std::string& error) {
  NodeReport report;
  report.mutable_view_installed()->set_job(id().value());
  report.mutable_view_installed()->set_view(view);
  report.mutable_view_installed()->set_error(error);
  options_.report(std::move(report));
  ReportProgress();
}

void ServerJob::OnSessionOpened() {
  const ViewId serving = shard_->view();
  if (serving == ViewId(0)) return;
  {
    absl::MutexLock lock(&mutex_);
    unreported_ = rounds_.size();
  }
  ReportInstalled(serving.value(), "");
  absl::MutexLock lock(&mutex_);
  for (const NodeReport& written : written_) options_.report(written);
}

// ---- pulls ----

absl::Status ServerJob::Subscribe(std::shared_ptr<PullStream> stream, Version from) {
  const ViewId view = stream->view();
  SHOAL_ASSIGN_OR_RETURN(const std::vector<BlockId> blocks, shard_->Blocks(view));
  {
    absl::MutexLock lock(&mutex_);
    if (stopping_) return absl::FailedPreconditionError("the job is over here");
    streams_.insert(stream);
  }
  for (BlockId block : blocks) {
    for (Version version = from;; ++version) {
      const auto published = shard_->Published(view, block, version);
      if (absl::IsUnavailable(published.status())) break;
      if (!published.ok()) {
        Unsubscribe(stream);
        return published.status();
      }
      stream->Offer(block, *published);
    }
  }
  return absl::OkStatus();
}

void ServerJob::Unsubscribe(const std::shared_ptr<PullStream>& stream) {
  absl::MutexLock lock(&mutex_);
  streams_.erase(stream);
}

// Ends the streams of other views than `except`.
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

void ServerJob::OnPublished(ViewId view, BlockId block, const PublishedVersion& published) {
  std::vector<std::shared_ptr<PullStream>> streams;
  {
    absl::MutexLock lock(&mutex_);
    for (const auto& stream : streams_) {
      if (stream->view() == view) streams.push_back(stream);
    }
  }
  for (const auto& stream : streams) stream->Offer(block, published);
}

// ---- norms ----

void ServerJob::SendNorms(ViewId view, uint32_t peer, const Norms& norms) { TrySendNorms(view, peer, norms); }

void ServerJob::TrySendNorms(ViewId view, uint32_t peer, const Norms& norms) {
  absl::MutexLock lock(&mutex_);
  if (stopping_ || view_.view() != view.value() || static_cast<int>(peer) >= view_.shards_size()) return;
  const std::string& address = view_.shards(peer).primary().address();
  std::shared_ptr<grpc::Channel>& channel = peers_[address];
  if (channel == nullptr) channel = NewChannel(address);
  auto* call = new NormsCall;
  call->view = view;
  call->peer = peer;
  call->stub = ParameterService::NewStub(channel);
  call->request = norms;
  SetDeadline(&call->context, kNormsTimeout);
  calls_.insert(call);
  call->stub->async()->ExchangeNorms(&call->context, &call->request, &call->reply,
                                     [this, call](grpc::Status status) { OnNormsAnswer(call, status); });
}

void ServerJob::OnNormsAnswer(NormsCall* call, const grpc::Status& status) {
  const std::unique_ptr<NormsCall> owned(call);
  // On the timers' thread: this may be inside the call that sent the norms, or the last act of a dying job.
  if (!status.ok()) {
    timers_.After(kNormsRetry, [this, view = call->view, peer = call->peer, norms = call->request] {
      TrySendNorms(view, peer, norms);
    });
  } else if (call->reply.squared_norms_size() > 0) {
    timers_.After(absl::ZeroDuration(), [this, norms = call->reply] {
      const auto known = shard_->OnNorms(norms);
      if (!known.ok() && !absl::IsFailedPrecondition(known.status())) {
        spdlog::warn("Job {}: norms of shard {}: {}", id().value(), norms.shard(), known.status().ToString());
      }
    });
  }
  absl::MutexLock lock(&mutex_);
  calls_.erase(call);
}

// ---- reports ----

void ServerJob::OnProgress(const ShardProgress& progress) {
  absl::MutexLock lock(&mutex_);
  progressed_ = true;
  for (const RoundStats& round : progress.rounds()) {
    rounds_.push_back(round);
    ++unreported_;
  }
  while (rounds_.size() > kRoundsKept) rounds_.pop_front();
  unreported_ = std::min<uint64_t>(unreported_, rounds_.size());
}

void ServerJob::ReportWhenDue() {
  timers_.After(kReportEvery, [this] { ReportWhenDue(); });
  {
    absl::MutexLock lock(&mutex_);
    if (!progressed_ && absl::Now() - reported_ < kReportIdle) return;
  }
  ReportProgress();
}

void ServerJob::ReportProgress() {
  auto progress = shard_->Progress();
  if (!progress) return;
  absl::MutexLock lock(&mutex_);
  for (auto round = rounds_.end() - static_cast<std::ptrdiff_t>(unreported_); round != rounds_.end();
       ++round) {
    *progress->add_rounds() = *round;
  }
  // Rounds of blocks that were updated side by side may have swapped.
  std::sort(progress->mutable_rounds()->begin(), progress->mutable_rounds()->end(),
            [](const RoundStats& a, const RoundStats& b) { return a.round() < b.round(); });
  unreported_ = 0;
  progressed_ = false;
  reported_ = absl::Now();
  NodeReport report;
  *report.mutable_shard_progress() = *std::move(progress);
  options_.report(std::move(report));
}

// ---- checkpoints ----

void ServerJob::OnSnapshot(std::shared_ptr<const ShardSnapshot> snapshot) {
  files_.After(absl::ZeroDuration(), [this, snapshot = std::move(snapshot)] {
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
  if (snapshot.restore_id != view_.restore().restore_id()) return;
  written_.push_back(report);
  if (written_.size() > kWrittenKept) written_.pop_front();
  options_.report(std::move(report));
}

// ---- threads ----

void ServerJob::Execute(std::function<void()> work) { updates_.After(absl::ZeroDuration(), std::move(work)); }

void ServerJob::ParallelFor(uint64_t count, const std::function<void(uint64_t)>& fn) {
  absl::MutexLock lock(&pool_mutex_);
  pool_.ParallelFor(static_cast<int64_t>(count), [&](int64_t item, int) { fn(static_cast<uint64_t>(item)); });
}

}  // namespace shoal::server
