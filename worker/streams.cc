#include "worker/streams.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/wire.h"
#include "common/protocol/contribution_payload.h"
#include "common/rpc/rpc.h"
#include "grpcpp/impl/codegen/proto_utils.h"
#include "worker/published_check.h"

namespace shoal::worker {
namespace {

grpc::ByteBuffer Serialize(const google::protobuf::MessageLite& message) {
  const grpc::Slice slice(message.SerializeAsString());
  return grpc::ByteBuffer(&slice, 1);
}

}  // namespace

// ---- pull ----

void PullStream::Start(const std::shared_ptr<grpc::Channel>& channel, const PullRequest& request) {
  self_ = shared_from_this();
  shared_->running.Begin();
  stub_ = std::make_unique<grpc::GenericStub>(channel);
  request_ = Serialize(request);
  stub_->PrepareBidiStreamingCall(&context_, "/shoal.ParameterService/Pull", {}, this);
  StartWriteLast(&request_, grpc::WriteOptions());
  StartRead(&incoming_);
  AddHold();  // while a block waits, the stream is not read but stays alive
  StartCall();
}

bool PullStream::Offer(const PublishedMessage& message) {
  const uint64_t elements = shared_->block_elements[message.header.block()];
  return shared_->events->OnBlock(message.header,
                                  [&](const BlockMemory& to) { StoreBlock(message, elements, to); });
}

void PullStream::OnReadDone(bool ok) noexcept {
  if (!ok) return RemoveHold();
  auto message = ReadPublished(incoming_, place_.view, shared_->block_elements);
  if (!message.ok()) {
    failure_ = message.status();
    context_.TryCancel();
    return RemoveHold();
  }
  shared_->events->OnDelivery(place_);
  {
    // Set before the block is offered: a Resume in between must find it.
    absl::MutexLock lock(&mutex_);
    waiting_ = std::move(*message);
  }
  OfferWaiting();
}

void PullStream::Resume() {
  {
    absl::MutexLock lock(&mutex_);
    ++resumes_;
  }
  OfferWaiting();
}

// While a message waits no read is pending, so that only the hold (AddHold) keeps gRPC from ending the stream
// under it. The hold must be removed exactly once: by the read that fails; but if a message waits when the
// stream is cancelled there is none, and whoever has taken the message removes it: Cancel() out of
// `waiting_`, or this function while it offers it. Two callers (a read, a Resume) never offer the same
// message, since the first one takes it.
void PullStream::OfferWaiting() {
  while (true) {
    std::optional<PublishedMessage> message;
    uint64_t resumes;
    {
      absl::MutexLock lock(&mutex_);
      message = std::exchange(waiting_, std::nullopt);
      resumes = resumes_;
    }
    if (!message) return;
    if (Offer(*message)) return StartRead(&incoming_);
    absl::MutexLock lock(&mutex_);
    if (cancelled_) break;
    waiting_ = std::move(message);
    if (resumes == resumes_) return;  // else what it waited for may have happened in between
  }
  RemoveHold();
}

void PullStream::Cancel() {
  context_.TryCancel();
  bool waited;
  {
    absl::MutexLock lock(&mutex_);
    cancelled_ = true;
    waited = waiting_.has_value();
    waiting_.reset();
  }
  if (waited) RemoveHold();  // no read is pending that could end the stream
}

void PullStream::OnDone(const grpc::Status& status) noexcept {
  StreamContext* const shared = shared_;
  shared->events->OnPullDone(place_, failure_.ok() ? FromGrpcStatus(status) : failure_);
  self_.reset();  // may destroy this
  shared->running.End();
}

// ---- push ----

void PushStream::Start(const std::shared_ptr<grpc::Channel>& channel) {
  self_ = shared_from_this();
  shared_->running.Begin();
  stub_ = std::make_unique<grpc::GenericStub>(channel);
  stub_->PrepareBidiStreamingCall(&context_, "/shoal.ParameterService/Push", {}, this);
  AddHold();  // writes come from threads other than the reactor's
  StartRead(&incoming_);
  StartCall();
}

void PushStream::Push(BlockContribution contribution) {
  {
    absl::MutexLock lock(&mutex_);
    if (broken_) return;
    const Urgency urgency = {contribution.header.round(), contribution.header.block()};
    queue_.emplace(urgency, std::move(contribution));
    if (writing_) return;
    writing_ = true;
  }
  WriteNext();
}

// Called only by the thread that has set writing_.
void PushStream::WriteNext() {
  BlockContribution next;
  {
    absl::MutexLock lock(&mutex_);
    if (broken_ || queue_.empty()) {
      writing_ = false;
      return;
    }
    next = std::move(queue_.begin()->second);
    queue_.erase(queue_.begin());
  }
  outgoing_ = Encoded(std::move(next));
  absl::MutexLock lock(&mutex_);
  if (broken_) {
    writing_ = false;
    return;
  }
  StartWrite(&outgoing_);
}

grpc::ByteBuffer PushStream::Encoded(BlockContribution contribution) const {
  ContributionHeader& header = contribution.header;
  SetKey(place_.view, &header);
  header.set_wire(shared_->wire);
  const Payload payload = EncodeContribution(std::move(contribution.gradient),
                                             absl::MakeConstSpan(contribution.values, contribution.size),
                                             shared_->pool.get(), &header);
  return EncodeBlockMessage(header, payload);
}

void PushStream::OnWriteDone(bool ok) noexcept {
  outgoing_.Clear();
  if (ok) return WriteNext();
  absl::MutexLock lock(&mutex_);
  writing_ = false;
}

// A reply means that a contribution was refused: everything held is pushed again, on a new stream. No more
// reads: the stream is over.
void PushStream::OnReadDone(bool ok) noexcept {
  if (ok) {
    failure_ = absl::DataLossError("a contribution was refused; all held ones are pushed again");
    context_.TryCancel();
  }
  {
    absl::MutexLock lock(&mutex_);
    broken_ = true;
    queue_.clear();
  }
  RemoveHold();
}

void PushStream::OnDone(const grpc::Status& status) noexcept {
  StreamContext* const shared = shared_;
  shared->events->OnPushDone(place_, failure_.ok() ? FromGrpcStatus(status) : failure_);
  self_.reset();  // may destroy this
  shared->running.End();
}

}  // namespace shoal::worker
