// The streams of worker/parameter_streams.h over gRPC, as callback reactors.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/base/array_pool.h"
#include "common/protocol/block_message.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/grpcpp.h"
#include "worker/parameter_streams.h"

namespace shoal::worker {

using RawReactor = grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>;

// Counts streams and calls that gRPC still uses. Thread-safe.
class RunningCount {
 public:
  void Begin() {
    absl::MutexLock lock(&mutex_);
    ++count_;
  }
  void End() {
    absl::MutexLock lock(&mutex_);
    --count_;
  }
  void WaitForNone() {
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(
        +[](int* count) { return *count == 0; }, &count_));
  }

 private:
  absl::Mutex mutex_;
  int count_ ABSL_GUARDED_BY(mutex_) = 0;
};

// Shared by the streams of a link; outlives them.
struct StreamContext {
  StreamContext(WireFormat wire, std::vector<uint64_t> block_elements)
      : wire(wire), block_elements(std::move(block_elements)) {}

  const WireFormat wire;
  const std::vector<uint64_t> block_elements;
  StreamEvents* events = nullptr;
  const std::shared_ptr<ArrayPool> pool = ArrayPool::Create();  // of encoded contributions
  RunningCount running;
};

// Reads published blocks one by one. While a block has to wait it stops reading, so flow control holds the
// server back. Lives until OnDone.
class PullStream : public PullStreamHandle,
                   public RawReactor,
                   public std::enable_shared_from_this<PullStream> {
 public:
  PullStream(StreamPlace place, StreamContext* shared) : place_(std::move(place)), shared_(shared) {}

  void Start(const std::shared_ptr<grpc::Channel>& channel, const PullRequest& request);
  void Cancel() override ABSL_LOCKS_EXCLUDED(mutex_);
  void Resume() override ABSL_LOCKS_EXCLUDED(mutex_);

  void OnReadDone(bool ok) noexcept override;
  void OnDone(const grpc::Status& status) noexcept override;

 private:
  void OfferWaiting() ABSL_LOCKS_EXCLUDED(mutex_);
  bool Offer(const PublishedMessage& message);

  const StreamPlace place_;
  StreamContext* const shared_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::GenericStub> stub_;
  grpc::ByteBuffer request_;
  grpc::ByteBuffer incoming_;
  absl::Status failure_;  // why this end cancelled it
  std::shared_ptr<PullStream> self_;
  absl::Mutex mutex_;
  std::optional<PublishedMessage> waiting_ ABSL_GUARDED_BY(mutex_);
  uint64_t resumes_ ABSL_GUARDED_BY(mutex_) = 0;
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
};

// Writes contributions: older rounds first, then in block order, since the next forward pass needs the first
// blocks first. Lives until OnDone.
//
// What waits for a slow server is what the job holds for the shard (WorkerRounds), at most twice: once more
// when the stream has just been reopened. It shares the job's memory; only the one being written is encoded.
class PushStream : public PushStreamHandle,
                   public RawReactor,
                   public std::enable_shared_from_this<PushStream> {
 public:
  PushStream(StreamPlace place, StreamContext* shared) : place_(std::move(place)), shared_(shared) {}

  void Start(const std::shared_ptr<grpc::Channel>& channel);
  void Cancel() override { context_.TryCancel(); }
  void Push(BlockContribution contribution) override ABSL_LOCKS_EXCLUDED(mutex_);

  void OnWriteDone(bool ok) noexcept override;
  void OnReadDone(bool ok) noexcept override;
  void OnDone(const grpc::Status& status) noexcept override;

 private:
  // Round, then block; equal ones in the order given.
  using Urgency = std::pair<uint64_t, uint32_t>;

  void WriteNext() ABSL_LOCKS_EXCLUDED(mutex_);
  grpc::ByteBuffer Encoded(BlockContribution contribution) const;

  const StreamPlace place_;
  StreamContext* const shared_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::GenericStub> stub_;
  grpc::ByteBuffer outgoing_;
  grpc::ByteBuffer incoming_;
  absl::Status failure_;  // why this end cancelled it
  std::shared_ptr<PushStream> self_;
  absl::Mutex mutex_;
  std::multimap<Urgency, BlockContribution> queue_ ABSL_GUARDED_BY(mutex_);
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool broken_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace shoal::worker
