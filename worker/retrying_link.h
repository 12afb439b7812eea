// ParameterLink over streams that may break: reopens them, with backoff, until the view is over.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "common/base/backoff.h"
#include "common/base/executor.h"
#include "worker/parameter_link.h"
#include "worker/parameter_streams.h"
#include "worker/peer_health.h"

namespace shoal::worker {

// Events other than blocks, and blocks that had to wait, come from the executor "link". The destructor
// cancels everything and returns when no more events can come. Final, because streams call it until its
// destructor has run, when a derived class would already be destroyed.
class RetryingLink final : public ParameterLink, private StreamEvents {
 public:
  struct Options {
    uint64_t backoff_seed = 0;
    ExecutorFactory executors;
  };
  using StreamsFactory = std::function<std::unique_ptr<ParameterStreams>(StreamEvents*)>;
  // `events` must outlive the link.
  RetryingLink(const Options& options, ParameterLinkEvents* events, const StreamsFactory& make_streams);
  ~RetryingLink() override;

  void SetView(const View& view) override ABSL_LOCKS_EXCLUDED(mutex_);
  void AskVersions() override ABSL_LOCKS_EXCLUDED(mutex_);
  void Open(Version from) override ABSL_LOCKS_EXCLUDED(mutex_);
  void Push(BlockContribution contribution) override ABSL_LOCKS_EXCLUDED(mutex_);
  void Resume() override ABSL_LOCKS_EXCLUDED(mutex_);
  void Disconnect() override ABSL_LOCKS_EXCLUDED(mutex_);
  // From its first failure on, a server is asked for its versions until it is reachable again
  // (worker/peer_health.h). An open stream on which nothing moves is not a failure. Reports TRANSFER, idle
  // since the last new block, once one has arrived in this view.
  void AddTo(Heartbeat* heartbeat) const override ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Shard {
    StreamPlace place;
    std::shared_ptr<PullStreamHandle> pull;
    std::shared_ptr<PushStreamHandle> push;
    bool wants_versions = false;  // the job waits for them
    bool asks = false;            // a question is pending or scheduled
    Backoff backoff{0};           // of pulls and questions
    Backoff push_backoff{0};
    absl::Time push_opened;
  };

  void OnDelivery(const StreamPlace& place) override ABSL_LOCKS_EXCLUDED(mutex_);
  bool OnBlock(const PublishedHeader& header, const BlockStore& store) override {
    return events_->OnBlock(header, store);
  }
  void OnPullDone(const StreamPlace& place, const absl::Status& status) override ABSL_LOCKS_EXCLUDED(mutex_);
  void OnPushDone(const StreamPlace& place, const absl::Status& status) override ABSL_LOCKS_EXCLUDED(mutex_);
  void OnVersionsDone(const StreamPlace& place, const absl::StatusOr<Version>& lowest) override
      ABSL_LOCKS_EXCLUDED(mutex_);
  void ReopenPull(const StreamPlace& place) ABSL_LOCKS_EXCLUDED(mutex_);
  void ReopenPush(const StreamPlace& place) ABSL_LOCKS_EXCLUDED(mutex_);
  void ResumeStreams() ABSL_LOCKS_EXCLUDED(mutex_);

  // The shard; null when the place is from an older Open.
  Shard* Find(const StreamPlace& place) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Ask(Shard* shard) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void CancelStreams() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void OpenPull(Shard* shard, Version from) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void OpenPush(Shard* shard) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool IsUnreachable(const Shard& shard) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  ParameterLinkEvents* const events_;
  const uint64_t backoff_seed_;
  const std::unique_ptr<Executor> executor_;
  std::unique_ptr<ParameterStreams> streams_;

  mutable absl::Mutex mutex_;
  uint64_t generation_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<Shard> shards_ ABSL_GUARDED_BY(mutex_);
  PeerHealth health_ ABSL_GUARDED_BY(mutex_);
  std::optional<absl::Time> delivered_ ABSL_GUARDED_BY(mutex_);  // when the view's last new block arrived
  Version from_ ABSL_GUARDED_BY(mutex_);                         // of the last Open
  bool refused_ ABSL_GUARDED_BY(mutex_) = false;  // a server no longer has, or never had, from_
  bool repeats_ ABSL_GUARDED_BY(mutex_) = false;  // the blocks arriving now were delivered before
  bool resuming_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace shoal::worker
