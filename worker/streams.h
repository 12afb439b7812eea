// The two kinds of stream of a GrpcLink, as gRPC callback reactors.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/block_message.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/grpcpp.h"
#include "worker/grpc_link.h"

namespace shoal::worker {

using RawReactor = grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>;

// Where a stream belongs.
struct StreamPlace {
  GrpcLink* link = nullptr;
  uint64_t generation = 0;
  uint32_t shard = 0;
};

// Reads published blocks one by one; while a block has to wait it reads no further, so flow control holds the
// server back. Lives until OnDone.
class PullStream : public RawReactor, public std::enable_shared_from_this<PullStream> {
 public:
  PullStream(StreamPlace place, const std::vector<uint64_t>* block_elements)
      : place_(place), block_elements_(block_elements) {}

  void Start(const std::shared_ptr<grpc::Channel>& channel, const PullRequest& request);
  void Cancel() ABSL_LOCKS_EXCLUDED(mutex_);
  // Offers the waiting block again, if there is one.
  void Resume() ABSL_LOCKS_EXCLUDED(mutex_);

  void OnReadDone(bool ok) override;
  void OnDone(const grpc::Status& status) override;

 private:
  void Arrived() ABSL_LOCKS_EXCLUDED(mutex_);
  void OfferWaiting() ABSL_LOCKS_EXCLUDED(mutex_);
  bool Offer(const PublishedMessage& message);

  const StreamPlace place_;
  const std::vector<uint64_t>* const block_elements_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::GenericStub> stub_;
  grpc::ByteBuffer request_;
  grpc::ByteBuffer incoming_;
  std::shared_ptr<PullStream> self_;
  absl::Mutex mutex_;
  std::optional<PublishedMessage> waiting_ ABSL_GUARDED_BY(mutex_);
  bool crossing_ ABSL_GUARDED_BY(mutex_) = false;  // waiting_ is still on the simulated link
  uint64_t resumes_ ABSL_GUARDED_BY(mutex_) = 0;
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
};

// Writes contributions: those of older rounds first, then front blocks first, since the next forward pass
// needs them first. Lives until OnDone.
class PushStream : public RawReactor, public std::enable_shared_from_this<PushStream> {
 public:
  PushStream(StreamPlace place, ViewId view, WireFormat wire) : place_(place), view_(view), wire_(wire) {}

  void Start(const std::shared_ptr<grpc::Channel>& channel);
  void Cancel() { context_.TryCancel(); }
  void Push(BlockContribution contribution) ABSL_LOCKS_EXCLUDED(mutex_);

  void OnWriteDone(bool ok) override;
  void OnReadDone(bool ok) override;
  void OnDone(const grpc::Status& status) override;

 private:
  // Round, then block; in the order given where both are equal.
  using Urgency = std::pair<uint64_t, uint32_t>;

  void WriteNext() ABSL_LOCKS_EXCLUDED(mutex_);
  void Write() ABSL_LOCKS_EXCLUDED(mutex_);
  grpc::ByteBuffer Encoded(BlockContribution contribution) const;

  const StreamPlace place_;
  const ViewId view_;
  const WireFormat wire_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::GenericStub> stub_;
  grpc::ByteBuffer outgoing_;
  grpc::ByteBuffer incoming_;
  std::shared_ptr<PushStream> self_;
  absl::Mutex mutex_;
  std::multimap<Urgency, BlockContribution> queue_ ABSL_GUARDED_BY(mutex_);
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool broken_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace shoal::worker
