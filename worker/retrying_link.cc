#include "worker/retrying_link.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "common/protocol/shard_map.h"

namespace shoal::worker {
namespace {

void LogFailure(const char* what, const StreamPlace& place, const absl::Status& status) {
  if (status.ok()) return;
  // Servers end the streams when a view or a job ends: not worth a warning.
  const bool expected = absl::IsFailedPrecondition(status);
  WriteLog(expected ? LogLevel::kDebug : LogLevel::kWarning,
           absl::StrCat(what, " shard ", place.shard, " at ", place.address, ": ", status.message(),
                        "; trying again"));
}

}  // namespace

RetryingLink::RetryingLink(const Options& options, ParameterLinkEvents* events,
                           const StreamsFactory& make_streams)
    : events_(events),
      backoff_seed_(options.backoff_seed),
      executor_(options.executors("link")),
      streams_(make_streams(this)) {}

RetryingLink::~RetryingLink() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  executor_->Stop();
  Disconnect();
  streams_.reset();  // waits for what gRPC still uses
}

// ---- commands ----

void RetryingLink::SetView(const View& view) {
  absl::MutexLock lock(&mutex_);
  CancelStreams();
  shards_.clear();
  delivered_.reset();
  refused_ = repeats_ = false;
  std::vector<NodeRef> peers;
  for (const ShardAssignment& assignment : view.shards()) {
    Shard shard;
    shard.place.address = assignment.primary().address();
    shard.place.view = KeyOf(view);
    shard.place.shard = static_cast<uint32_t>(shards_.size());
    shard.place.generation = generation_;
    shard.backoff = Backoff(backoff_seed_ + shards_.size());
    shard.push_backoff = Backoff(~(backoff_seed_ + shards_.size()));
    shards_.push_back(std::move(shard));
    peers.push_back(assignment.primary());
  }
  health_.SetPeers(peers);
}

void RetryingLink::AskVersions() {
  absl::MutexLock lock(&mutex_);
  CancelStreams();
  for (Shard& shard : shards_) {
    shard.wants_versions = true;
    Ask(&shard);
  }
}

void RetryingLink::Open(Version from) {
  absl::MutexLock lock(&mutex_);
  CancelStreams();
  // Blocks that are merely sent again are not progress: the scheduler must notice that nothing moves.
  repeats_ = std::exchange(refused_, false) && from <= from_;
  from_ = from;
  for (Shard& shard : shards_) {
    OpenPush(&shard);
    OpenPull(&shard, from);
    if (IsUnreachable(shard)) Ask(&shard);
  }
}

void RetryingLink::Push(BlockContribution contribution) {
  absl::MutexLock lock(&mutex_);
  if (shards_.empty()) return;
  const ShardMap map(static_cast<uint32_t>(shards_.size()));
  Shard& shard = shards_[map.ShardOf(BlockId(contribution.header.block()))];
  // Without a stream it is not lost: OnPushReopened requests everything that is held.
  if (shard.push != nullptr) shard.push->Push(std::move(contribution));
}

void RetryingLink::Resume() {
  absl::MutexLock lock(&mutex_);
  if (std::exchange(resuming_, true)) return;
  executor_->Post([this] { ResumeStreams(); });
}

void RetryingLink::Disconnect() {
  absl::MutexLock lock(&mutex_);
  CancelStreams();
}

void RetryingLink::AddTo(Heartbeat* heartbeat) const {
  absl::MutexLock lock(&mutex_);
  health_.AddTo(heartbeat, executor_->Now());
  if (!delivered_) return;
  Activity& transfer = *heartbeat->add_activities();
  transfer.set_kind(ACTIVITY_TRANSFER);
  transfer.set_job(shards_.front().place.view.job.value());
  transfer.set_idle_seconds(absl::ToDoubleSeconds(executor_->Now() - *delivered_));
  transfer.set_detail("receives parameters");
}

// ---- streams ----

void RetryingLink::CancelStreams() {
  ++generation_;
  health_.OnClosed();
  for (Shard& shard : shards_) {
    if (shard.pull != nullptr) shard.pull->Cancel();
    if (shard.push != nullptr) shard.push->Cancel();
    shard.pull.reset();
    shard.push.reset();
    shard.wants_versions = shard.asks = false;
    shard.place.generation = generation_;
  }
}

RetryingLink::Shard* RetryingLink::Find(const StreamPlace& place) {
  if (stopping_ || place.generation != generation_ || place.shard >= shards_.size()) return nullptr;
  return &shards_[place.shard];
}

void RetryingLink::Ask(Shard* shard) {
  if (std::exchange(shard->asks, true)) return;
  streams_->AskVersions(shard->place);
}

void RetryingLink::OpenPull(Shard* shard, Version from) {
  shard->pull = streams_->Pull(shard->place, from);
  health_.OnOpened(shard->place.address, Direction::kPull, executor_->Now());
}

void RetryingLink::OpenPush(Shard* shard) {
  shard->push = streams_->Push(shard->place);
  shard->push_opened = executor_->Now();
  health_.OnOpened(shard->place.address, Direction::kPush, shard->push_opened);
}

bool RetryingLink::IsUnreachable(const Shard& shard) const {
  return health_.IsUnreachable(shard.place.address, executor_->Now());
}

// ---- events of streams ----

void RetryingLink::OnDelivery(const StreamPlace& place) {
  absl::MutexLock lock(&mutex_);
  Shard* const shard = Find(place);
  if (shard == nullptr) return;
  shard->backoff.Reset();
  const absl::Time now = executor_->Now();
  if (!repeats_) delivered_ = now;
  health_.OnDelivery(place.address, now);
}

void RetryingLink::OnPullDone(const StreamPlace& place, const absl::Status& status) {
  absl::MutexLock lock(&mutex_);
  Shard* const shard = Find(place);
  if (shard == nullptr) return;
  shard->pull.reset();
  health_.OnBroken(place.address, Direction::kPull, status, executor_->Now());
  LogFailure("pull from", place, status);
  if (absl::IsOutOfRange(status)) {
    refused_ = true;
    // With a delay: the job asks the servers for their versions and reopens all streams, and a server that
    // answers this every time must not keep it in a tight loop.
    executor_->After(shard->backoff.NextDelay(), [this, place] {
      {
        absl::MutexLock lock(&mutex_);
        if (Find(place) == nullptr) return;  // reopened already
      }
      events_->OnOutOfRange(place.view.view);
    });
    return;
  }
  if (IsUnreachable(*shard)) Ask(shard);
  executor_->After(shard->backoff.NextDelay(), [this, place] { ReopenPull(place); });
}

void RetryingLink::ReopenPull(const StreamPlace& place) {
  const Version from = events_->PullFrom();
  absl::MutexLock lock(&mutex_);
  if (Shard* const shard = Find(place)) OpenPull(shard, from);
}

void RetryingLink::OnPushDone(const StreamPlace& place, const absl::Status& status) {
  absl::MutexLock lock(&mutex_);
  Shard* const shard = Find(place);
  if (shard == nullptr) return;
  shard->push.reset();
  const absl::Time now = executor_->Now();
  if (now - shard->push_opened >= PeerHealth::kStands) shard->push_backoff.Reset();
  health_.OnBroken(place.address, Direction::kPush, status, now);
  LogFailure("push to", place, status);
  if (IsUnreachable(*shard)) Ask(shard);
  executor_->After(shard->push_backoff.NextDelay(), [this, place] { ReopenPush(place); });
}

void RetryingLink::ReopenPush(const StreamPlace& place) {
  {
    absl::MutexLock lock(&mutex_);
    Shard* const shard = Find(place);
    if (shard == nullptr) return;
    OpenPush(shard);
  }
  events_->OnPushReopened(place.view.view, place.shard);
}

void RetryingLink::OnVersionsDone(const StreamPlace& place, const absl::StatusOr<Version>& lowest) {
  absl::MutexLock lock(&mutex_);
  Shard* const shard = Find(place);
  if (shard == nullptr) return;
  health_.OnQuestion(place.address, lowest.status(), executor_->Now());
  LogFailure("versions of", place, lowest.status());
  shard->asks = false;
  if (lowest.ok() && std::exchange(shard->wants_versions, false)) {
    executor_->Post(
        [this, place, lowest = *lowest] { events_->OnVersions(place.view.view, place.shard, lowest); });
  }
  if (!shard->wants_versions && !IsUnreachable(*shard)) return;
  shard->asks = true;
  executor_->After(shard->backoff.NextDelay(), [this, place] {
    absl::MutexLock lock(&mutex_);
    if (Find(place) != nullptr) streams_->AskVersions(place);
  });
}

// Offers waiting blocks again, from the executor, since the caller may hold the lock that they need.
void RetryingLink::ResumeStreams() {
  std::vector<std::shared_ptr<PullStreamHandle>> pulls;
  {
    absl::MutexLock lock(&mutex_);
    resuming_ = false;
    for (const Shard& shard : shards_) {
      if (shard.pull != nullptr) pulls.push_back(shard.pull);
    }
  }
  for (const auto& pull : pulls) pull->Resume();
}

}  // namespace shoal::worker
