#include "tools/bench/limited_link.h"

#include <cstdint>
#include <iterator>
#include <map>
#include <optional>
#include <tuple>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/base/wire.h"
#include "common/protocol/shard_map.h"
#include "tools/bench/token_bucket.h"

namespace shoal::bench {
namespace {

using worker::BlockContribution;

// What crosses at once after a pause: a block. While one is encoded or decoded, a real link carries the next.
constexpr uint64_t kBurstBytes = 1 << 20;

// Thread-safe: link and events are called without the lock.
class LimitedLink : public worker::ParameterLink, public worker::ParameterLinkEvents {
 public:
  LimitedLink(LimitedLinkOptions options, worker::ParameterLinkEvents* events)
      : options_(std::move(options)),
        events_(events),
        executor_(options_.executors("limited link")),
        sent_(options_.bits_per_second, kBurstBytes),
        received_(options_.bits_per_second, kBurstBytes) {}
  ~LimitedLink() override {
    executor_->Stop();
    link_.reset();  // from here on nothing calls this
  }
  void set_link(std::unique_ptr<worker::ParameterLink> link) { link_ = std::move(link); }

  // ---- ParameterLink ----
  void SetView(const View& view) override {
    DropAll();
    {
      absl::MutexLock lock(&mutex_);
      shards_ = view.shards_size();
    }
    link_->SetView(view);
  }
  void AskVersions() override { link_->AskVersions(); }
  void Open(Version from) override {
    DropAll();
    link_->Open(from);
  }
  void Push(BlockContribution contribution) override ABSL_LOCKS_EXCLUDED(mutex_) {
    {
      absl::MutexLock lock(&mutex_);
      const Urgency urgency = {contribution.header.round(), contribution.header.block()};
      queue_.emplace(urgency, std::move(contribution));
      if (std::exchange(sending_, true)) return;
    }
    SendNext();
  }
  void Resume() override { link_->Resume(); }
  void Disconnect() override {
    DropAll();
    link_->Disconnect();
  }
  void AddTo(Heartbeat* heartbeat) const override { link_->AddTo(heartbeat); }

  // ---- ParameterLinkEvents ----
  void OnVersions(ViewId view, uint32_t shard, Version lowest) override {
    events_->OnVersions(view, shard, lowest);
  }
  bool OnBlock(const PublishedHeader& header, const worker::BlockStore& store) override {
    const BlockKey key = {header.view(), header.block(), header.version()};
    if (!HasCrossed(key)) return false;
    if (!events_->OnBlock(header, store)) return false;
    absl::MutexLock lock(&mutex_);
    crossing_.erase(key);
    return true;
  }
  void OnOutOfRange(ViewId view) override { events_->OnOutOfRange(view); }
  Version PullFrom() override { return events_->PullFrom(); }
  void OnPushReopened(ViewId view, uint32_t shard) override {
    DropQueue(shard);
    events_->OnPushReopened(view, shard);
  }

 private:
  using Urgency = std::pair<uint64_t, uint64_t>;              // round, block
  using BlockKey = std::tuple<uint64_t, uint32_t, uint64_t>;  // view, block, version

  // As the streams below do when they end: held contributions are pushed again.
  void DropAll() ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    ++generation_;
    queue_.clear();
    crossing_.clear();
  }
  void DropQueue(uint32_t shard) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    const ShardMap map(shards_);
    for (auto at = queue_.begin(); at != queue_.end();) {
      const BlockId block(at->second.header.block());
      at = map.Holds(shard, block) ? queue_.erase(at) : std::next(at);
    }
  }

  // Called only by the thread that has set sending_.
  void SendNext() ABSL_LOCKS_EXCLUDED(mutex_) {
    while (true) {
      std::optional<BlockContribution> next;
      absl::Duration time;
      uint64_t generation = 0;
      {
        absl::MutexLock lock(&mutex_);
        generation = generation_;
        sending_ = !queue_.empty();
        if (!sending_) return;
        next = std::move(queue_.begin()->second);
        queue_.erase(queue_.begin());
        time = sent_.Take(executor_->Now(), EncodedBytes(options_.wire, next->size));
      }
      if (time > absl::ZeroDuration()) return SendAfter(time, generation, *std::move(next));
      link_->Push(*std::move(next));
    }
  }
  void SendAfter(absl::Duration time, uint64_t generation, BlockContribution contribution) {
    const auto shared = std::make_shared<BlockContribution>(std::move(contribution));
    executor_->After(time, [this, shared, generation] {
      if (generation == Generation()) link_->Push(std::move(*shared));
      SendNext();
    });
  }
  uint64_t Generation() ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    return generation_;
  }

  // Whether the block has crossed the card. Starts the crossing if it has not started yet.
  bool HasCrossed(const BlockKey& key) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    const auto [block, begins] = crossing_.try_emplace(key, false);
    if (!begins) return block->second;
    const uint64_t bytes = EncodedBytes(options_.wire, options_.block_elements[std::get<1>(key)]);
    const absl::Duration time = received_.Take(executor_->Now(), bytes);
    block->second = time == absl::ZeroDuration();
    if (block->second) return true;
    executor_->After(time, [this, key] {
      Arrive(key);
      link_->Resume();
    });
    return false;
  }
  void Arrive(const BlockKey& key) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    const auto block = crossing_.find(key);
    if (block != crossing_.end()) block->second = true;
  }

  const LimitedLinkOptions options_;
  worker::ParameterLinkEvents* const events_;
  const std::unique_ptr<Executor> executor_;
  std::unique_ptr<worker::ParameterLink> link_;

  absl::Mutex mutex_;
  uint32_t shards_ ABSL_GUARDED_BY(mutex_) = 1;
  uint64_t generation_ ABSL_GUARDED_BY(mutex_) = 0;  // of the streams below
  TokenBucket sent_ ABSL_GUARDED_BY(mutex_), received_ ABSL_GUARDED_BY(mutex_);
  std::multimap<Urgency, BlockContribution> queue_ ABSL_GUARDED_BY(mutex_);  // to be sent
  bool sending_ ABSL_GUARDED_BY(mutex_) = false;  // a SendNext runs, or waits for the card
  // Blocks that are not accepted yet: whether they have arrived.
  std::map<BlockKey, bool> crossing_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

std::unique_ptr<worker::ParameterLink> NewLimitedLink(LimitedLinkOptions options, const LinkFactory& make,
                                                      worker::ParameterLinkEvents* events) {
  auto link = std::make_unique<LimitedLink>(std::move(options), events);
  link->set_link(make(link.get()));
  return link;
}

std::unique_ptr<worker::ParameterLink> NewLimitedGrpcLink(double bits_per_second,
                                                          const worker::GrpcLinkOptions& options,
                                                          worker::ParameterLinkEvents* events) {
  if (bits_per_second <= 0) return worker::NewGrpcLink(options, events);
  return NewLimitedLink(
      {bits_per_second, options.wire, options.block_elements, options.executors},
      [&](worker::ParameterLinkEvents* limited) { return worker::NewGrpcLink(options, limited); }, events);
}

}  // namespace shoal::bench
