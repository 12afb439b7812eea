#include "common/rpc/session_client.h"

#include <utility>

#include "common/base/log.h"
#include "common/protocol/queue_length.h"
#include "common/rpc/grpc_scheduler_link.h"

namespace shoal {
namespace {

SessionCore::Options CoreOptions(const SessionOptions& options) {
  SessionCore::Options core;
  core.join = options.join;
  core.scheduler = options.scheduler;
  core.backoff = options.backoff;
  core.seed = options.join.incarnation();
  return core;
}

}  // namespace

SessionClient::SessionClient(SessionOptions options, SessionCallbacks callbacks)
    : options_(std::move(options)),
      callbacks_(std::move(callbacks)),
      core_(CoreOptions(options_)),
      link_(options_.link ? options_.link() : std::make_unique<GrpcSchedulerLink>(options_.channel)),
      session_(options_.executors("session")),
      caller_(options_.executors("session callbacks")) {
  Happened([](SessionCore* core, absl::Time now) { core->Start(now); });
}

SessionClient::~SessionClient() { Stop(); }

void SessionClient::Stop() {
  released_.Notify();
  session_->Stop();
  stream_.reset();
  link_.reset();
  caller_->Stop();
}

void SessionClient::Send(NodeReport report) {
  const uint64_t stream = session_opened_.load(std::memory_order_acquire);
  Happened([stream, report = std::move(report)](SessionCore* core, absl::Time now) {
    core->SendIn(now, stream, report);
  });
}

void SessionClient::StartLeaving() {
  Happened([](SessionCore* core, absl::Time now) { core->Leave(now); });
}

void SessionClient::Leave(absl::Duration timeout) {
  StartLeaving();
  if (!released_.WaitFor(timeout)) {
    LogWarning("The scheduler has not released this node within ", absl::FormatDuration(timeout),
               ": leaving anyway");
  }
}

absl::Status SessionClient::WaitRefused(absl::Duration timeout) {
  (void)refused_.WaitFor(timeout);
  absl::MutexLock lock(&mutex_);
  return refusal_;
}

// ---- events of the stream ----

void SessionClient::StreamEvents::OnOpened() {
  client->Happened([n = number](SessionCore* core, absl::Time now) { core->Opened(now, n); });
}

void SessionClient::StreamEvents::OnDirective(Directive directive) {
  client->session_->Post([c = client, n = number, directive = std::move(directive)]() mutable {
    c->HandleDirective(n, std::move(directive));
  });
}

void SessionClient::StreamEvents::OnWritten() {
  client->Happened([n = number](SessionCore* core, absl::Time now) { core->Written(now, n); });
}

void SessionClient::StreamEvents::OnClosed(const absl::Status& status) {
  client->Happened([n = number, status](SessionCore* core, absl::Time now) { core->Closed(now, n, status); });
}

// ---- on the session's executor ----

void SessionClient::Happened(std::function<void(SessionCore*, absl::Time)> event) {
  session_->Post([this, event = std::move(event)] {
    event(&core_, session_->Now());
    node_id_.store(core_.node_id(), std::memory_order_release);
    for (SessionAction& action : core_.TakeActions()) CarryOut(std::move(action));
  });
}

void SessionClient::CarryOut(SessionAction action) {
  if (auto* join = std::get_if<CallJoin>(&action)) {
    link_->Join(join->request, options_.join_timeout, [this](absl::StatusOr<JoinResponse> response) {
      Happened([response = std::move(response)](SessionCore* core, absl::Time now) {
        core->Joined(now, response);
      });
    });
  } else if (auto* open = std::get_if<OpenStream>(&action)) {
    stream_.reset();
    events_ = std::make_unique<StreamEvents>(this, open->stream);
    stream_ = link_->Open(open->hello, events_.get());
  } else if (std::holds_alternative<CloseStream>(action)) {
    stream_.reset();
  } else if (auto* write = std::get_if<WriteReport>(&action)) {
    stream_->Write(std::move(write->report));
  } else if (std::holds_alternative<MakeHeartbeat>(action)) {
    SendHeartbeat();
  } else if (auto* wake = std::get_if<WakeAt>(&action)) {
    session_->After(wake->time - session_->Now(),
                    [this] { Happened([](SessionCore* core, absl::Time now) { core->Tick(now); }); });
  } else if (auto* news = std::get_if<SessionNews>(&action)) {
    HandleNews(*news);
  } else if (auto* log = std::get_if<SessionLog>(&action)) {
    WriteLog(log->warning ? LogLevel::kWarning : LogLevel::kInfo, log->text);
  }
}

void SessionClient::SendHeartbeat() {
  NodeReport report;
  Heartbeat& heartbeat = *report.mutable_heartbeat();
  if (callbacks_.heartbeat) heartbeat = callbacks_.heartbeat();
  AddQueue("reports", core_.queued_reports(), SessionCore::kMaxQueuedReports, heartbeat.mutable_queues());
  core_.Send(session_->Now(), std::move(report));
  for (SessionAction& next : core_.TakeActions()) CarryOut(std::move(next));
}

void SessionClient::HandleNews(const SessionNews& news) {
  switch (news.kind) {
    case SessionNews::Kind::kJoined:
      if (callbacks_.on_joined) caller_->Post([this, joined = news.joined] { callbacks_.on_joined(joined); });
      return;
    case SessionNews::Kind::kOpened:
      return caller_->Post([this, stream = news.stream] {
        session_opened_.store(stream, std::memory_order_release);
        callbacks_.on_session_opened();
      });
    case SessionNews::Kind::kLeaseLost:
      return caller_->Post([this] {
        callbacks_.on_lease_lost();
        Happened([](SessionCore* core, absl::Time now) { core->StateDropped(now); });
      });
    case SessionNews::Kind::kReleased:
      return released_.Notify();
    case SessionNews::Kind::kRefused: {
      absl::MutexLock lock(&mutex_);
      refusal_ = news.refused;
    }
      released_.Notify();
      refused_.Notify();
      return;
  }
}

// The next directive is read only after this one has been carried out, so that directives wait where there is
// a bound: in the stream.
void SessionClient::HandleDirective(uint64_t stream, Directive directive) {
  if (!core_.IsCurrent(stream)) return;
  const auto read_on = [this, stream] {
    session_->Post([this, stream] {
      if (core_.IsCurrent(stream) && stream_ != nullptr) stream_->ReadOn();
    });
  };
  if (directive.has_released()) {
    Happened([stream](SessionCore* core, absl::Time now) { core->Released(now, stream); });
    return read_on();
  }
  // It would begin what it can't finish. The scheduler offered this before it knew.
  if (core_.leaving() && directive.has_prepare_job()) return read_on();
  caller_->Post([this, read_on, directive = std::move(directive)] {
    callbacks_.on_directive(directive);
    read_on();
  });
}

}  // namespace shoal
