#include "common/session_client.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/rpc.h"
#include "common/status.h"
#include "spdlog/spdlog.h"

namespace shoal {
namespace {

constexpr absl::Duration kDefaultHeartbeat = absl::Milliseconds(500);

// The scheduler will never admit this node as it is.
bool IsRefusal(const absl::Status& status) {
  return absl::IsFailedPrecondition(status) || absl::IsInvalidArgument(status) ||
         absl::IsPermissionDenied(status) || absl::IsUnauthenticated(status);
}

}  // namespace

SessionClient::SessionClient(SessionOptions options, SessionCallbacks callbacks)
    : options_(std::move(options)),
      callbacks_(std::move(callbacks)),
      stub_(SchedulerService::NewStub(options_.channel)) {
  reader_ = std::thread([this] { RunReader(); });
  writer_ = std::thread([this] { RunWriter(); });
}

SessionClient::~SessionClient() { Stop(); }

void SessionClient::Stop() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
    if (context_ != nullptr) context_->TryCancel();
  }
  if (reader_.joinable()) reader_.join();
  if (writer_.joinable()) writer_.join();
}

void SessionClient::Send(NodeReport report) {
  absl::MutexLock lock(&mutex_);
  if (stream_ != nullptr) queue_.push_back(std::move(report));
}

void SessionClient::Flush(absl::Duration timeout) {
  const auto flushed = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return stopping_ || stream_ == nullptr || (queue_.empty() && !writing_);
  };
  absl::MutexLock lock(&mutex_);
  mutex_.AwaitWithTimeout(absl::Condition(&flushed), timeout);
}

void SessionClient::Leave(absl::Duration timeout) {
  NodeReport report;
  report.mutable_leaving();
  Send(std::move(report));
  const auto released = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return released_ || stopping_ || !refused_.ok() || joined_.node_id() == 0;
  };
  absl::MutexLock lock(&mutex_);
  if (!mutex_.AwaitWithTimeout(absl::Condition(&released), timeout)) {
    spdlog::warn("The scheduler has not let this node go in {}: leaving anyway",
                 absl::FormatDuration(timeout));
  }
}

absl::Status SessionClient::WaitRefused(absl::Duration timeout) {
  const auto refused = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return !refused_.ok(); };
  absl::MutexLock lock(&mutex_);
  mutex_.AwaitWithTimeout(absl::Condition(&refused), timeout);
  return refused_;
}

uint64_t SessionClient::node_id() const {
  absl::MutexLock lock(&mutex_);
  return joined_.node_id();
}

// ---- reader: joins, reads directives, calls back ----

void SessionClient::RunReader() {
  Backoff backoff(absl::ToUnixNanos(absl::Now()), options_.backoff);
  while (JoinUntilDone(&backoff)) {
    SessionEnd end = SessionEnd::kBroken;
    while (end == SessionEnd::kBroken) {
      end = RunSession(&backoff);
      if (end == SessionEnd::kBroken && !Pause(backoff.NextDelay())) return;
    }
    if (end == SessionEnd::kStopped) return;
    spdlog::warn("The scheduler has ended this node's lease: joining anew");
    {
      absl::MutexLock lock(&mutex_);
      joined_.Clear();
    }
    callbacks_.on_lease_lost();
  }
}

// False: stopped or refused.
bool SessionClient::JoinUntilDone(Backoff* backoff) {
  absl::Status reported;
  while (true) {
    const absl::Status status = JoinOnce();
    if (status.ok()) return true;
    if (IsRefusal(status)) {
      absl::MutexLock lock(&mutex_);
      refused_ =
          Annotate(status, absl::StrCat("the scheduler at ", options_.scheduler, " refuses this node"));
      return false;
    }
    if (status.code() != reported.code()) {
      spdlog::warn("Scheduler at {} does not answer, trying on: {}", options_.scheduler, status.ToString());
      reported = status;
    }
    if (!Pause(backoff->NextDelay())) return false;
  }
}

absl::Status SessionClient::JoinOnce() {
  grpc::ClientContext context;
  SetDeadline(&context, options_.join_timeout);
  if (!SetContext(&context)) return absl::CancelledError("stopped");
  JoinResponse response;
  const grpc::Status status = stub_->Join(&context, options_.join, &response);
  SetContext(nullptr);
  SHOAL_RETURN_IF_ERROR(FromGrpcStatus(status));
  {
    absl::MutexLock lock(&mutex_);
    joined_ = response;
  }
  spdlog::info("Joined as {} (node {})", response.name(), response.node_id());
  callbacks_.on_joined(response);
  return absl::OkStatus();
}

SessionClient::SessionEnd SessionClient::RunSession(Backoff* backoff) {
  grpc::ClientContext context;
  if (!SetContext(&context)) return SessionEnd::kStopped;
  const std::unique_ptr<Stream> stream = stub_->Session(&context);
  OpenStream(&context, stream.get());
  Directive directive;
  bool opened = false;
  // The scheduler answers the Hello with its headers at once, so that an idle session counts as open too.
  stream->WaitForInitialMetadata();
  if (!context.GetServerInitialMetadata().empty()) {
    opened = true;
    callbacks_.on_session_opened();
  }
  while (stream->Read(&directive)) {
    if (!opened) callbacks_.on_session_opened();
    opened = true;
    if (directive.has_released()) {
      absl::MutexLock lock(&mutex_);
      released_ = true;
    } else {
      callbacks_.on_directive(directive);
    }
  }
  // Before any cancelling, which could hide why the scheduler ended it.
  const absl::Status status = FromGrpcStatus(stream->Finish());
  CloseStream();
  SetContext(nullptr);
  if (opened) backoff->Reset();
  {
    absl::MutexLock lock(&mutex_);
    if (stopping_) return SessionEnd::kStopped;
  }
  if (absl::IsFailedPrecondition(status)) return SessionEnd::kLeaseLost;
  if (opened) spdlog::warn("Session with the scheduler broken, opening it again: {}", status.ToString());
  return SessionEnd::kBroken;
}

void SessionClient::OpenStream(grpc::ClientContext* context, Stream* stream) {
  absl::MutexLock lock(&mutex_);
  queue_.clear();
  NodeReport hello;
  hello.mutable_hello()->set_node_id(joined_.node_id());
  *hello.mutable_hello()->mutable_join() = options_.join;
  queue_.push_back(std::move(hello));
  stream_ = stream;
  context_ = context;
}

// Takes the stream, whose call is over, from the writer: a Write that is under way fails at once.
void SessionClient::CloseStream() {
  const auto idle = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return !writing_; };
  absl::MutexLock lock(&mutex_);
  stream_ = nullptr;
  queue_.clear();
  mutex_.Await(absl::Condition(&idle));
}

// The call to cancel when stopping; false: stopping already.
bool SessionClient::SetContext(grpc::ClientContext* context) {
  absl::MutexLock lock(&mutex_);
  context_ = context;
  return !stopping_;
}

// False: stopping.
bool SessionClient::Pause(absl::Duration delay) {
  absl::MutexLock lock(&mutex_);
  return !mutex_.AwaitWithTimeout(absl::Condition(&stopping_), delay);
}

// ---- writer: reports and heartbeats ----

void SessionClient::RunWriter() {
  absl::MutexLock lock(&mutex_);
  while (WaitForWork()) {
    if (!WriteNext()) stream_ = nullptr;  // the reader finds the stream broken too
  }
}

// Returns when there is something to write; false: stopping.
bool SessionClient::WaitForWork() {
  const auto queued = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return stopping_ || (stream_ != nullptr && !queue_.empty());
  };
  while (true) {
    const absl::Duration heartbeat =
        joined_.heartbeat_ms() > 0 ? absl::Milliseconds(joined_.heartbeat_ms()) : kDefaultHeartbeat;
    if (mutex_.AwaitWithTimeout(absl::Condition(&queued), last_write_ + heartbeat - absl::Now())) {
      return !stopping_;
    }
    last_write_ = absl::Now();
    if (stream_ == nullptr) continue;
    NodeReport report;
    report.mutable_heartbeat();
    queue_.push_back(std::move(report));
    return true;
  }
}

// Writes the first report, without the lock meanwhile. False: the stream is broken.
bool SessionClient::WriteNext() {
  const NodeReport report = std::move(queue_.front());
  queue_.pop_front();
  Stream* const stream = stream_;
  writing_ = true;
  mutex_.Unlock();
  const bool written = stream->Write(report);
  mutex_.Lock();
  writing_ = false;
  last_write_ = absl::Now();
  return written || stream_ != stream;
}

}  // namespace shoal
