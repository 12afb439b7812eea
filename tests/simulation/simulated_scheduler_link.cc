#include "tests/simulation/simulated_scheduler_link.h"

#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "scheduler/directive_queue.h"

namespace shoal::simulation {
namespace {

class SessionAtScheduler;

// The kind as in a schedule; empty: a message that is never swallowed.
std::string KindOf(const Directive& directive) {
  switch (directive.directive_case()) {
    case Directive::kPrepareJob:
      return "prepare";
    case Directive::kView:
      return "view";
    case Directive::kTarget:
      return "target";
    case Directive::kReleased:
      return "released";
    default:
      return "";
  }
}

std::string KindOf(const NodeReport& report) {
  switch (report.report_case()) {
    case NodeReport::kJobPrepared:
      return "prepared";
    case NodeReport::kViewInstalled:
      return "installed";
    case NodeReport::kSlotEvaluated:
      return "evaluated";
    case NodeReport::kShardWritten:
      return "written";
    default:
      return "";
  }
}

// The state of one stream, shared by both ends.
struct SessionState {
  std::shared_ptr<Connection> connection;
  std::shared_ptr<SessionAtScheduler> session;  // null: not accepted
  Network* network = nullptr;
  // ---- of the client ----
  Process* client = nullptr;
  SchedulerStreamEvents* events = nullptr;  // null: the stream is gone
  std::deque<Directive> incoming;
  bool reading = true;
  std::optional<absl::Status> closed;
  bool told = false;

  void Deliver() {
    if (events == nullptr || told) return;
    if (!incoming.empty()) {
      if (!reading) return;
      reading = false;
      Directive next = std::move(incoming.front());
      incoming.pop_front();
      OnRead();
      return events->OnDirective(std::move(next));
    }
    if (!closed) return;
    told = true;
    events->OnClosed(*closed);
  }
  // Tells the scheduler's end, as a stream's flow control does.
  void OnRead();
};

// ---- at the scheduler ----

class SessionAtScheduler : public scheduler::SessionStream,
                           public std::enable_shared_from_this<SessionAtScheduler> {
 public:
  SessionAtScheduler(const std::shared_ptr<SessionState>& state, const Services* services)
      : state_(state),
        connection_(state->connection),
        services_(services),
        process_(connection_->process(Connection::kServer)) {}

  void Open(const Hello& hello) {
    scheduler::SchedulerNode* const node = services_->scheduler(process_);
    if (node == nullptr) return;
    id_ = NodeId(hello.node_id());
    const absl::Status status = node->OpenSession(hello, this);
    if (!status.ok()) return connection_->Close(Connection::kServer, status);
    open_ = true;
    connection_->OnClosed(Connection::kServer,
                          [self = shared_from_this()](const absl::Status&) { self->Over(); });
    connection_->Send(Connection::kServer, [weak = state_] {
      const auto state = weak.lock();
      if (state != nullptr && state->events != nullptr) state->events->OnOpened();
    });
    for (const Directive& directive : early_) Send(directive);
    early_.clear();
    if (early_end_) End(*early_end_);
  }
  void Report(const std::string& bytes) {
    scheduler::SchedulerNode* const node = services_->scheduler(process_);
    if (node == nullptr || !open_) return;
    NodeReport report;
    const absl::Status status = report.ParseFromString(bytes) ? node->Report(id_, this, report)
                                                              : absl::InternalError("can't be parsed");
    if (!status.ok()) End(status);
  }

  void Send(const Directive& directive) override {
    if (!open_) return early_.push_back(directive);
    const auto client = state_.lock();
    if (client != nullptr && client->network->Swallows(client->client, KindOf(directive))) return;
    const absl::Status status = unread_.Push(directive);
    if (!status.ok()) return End(status);
    connection_->Send(Connection::kServer, [weak = state_, directive] {
      const auto state = weak.lock();
      if (state == nullptr) return;
      state->incoming.push_back(directive);
      state->Deliver();
    });
  }
  size_t unread_bytes() const override { return unread_.bytes(); }
  // The node has read the oldest of the unread directives.
  void OnRead() { (void)unread_.Pop(); }
  void End(const absl::Status& status) override {
    if (!open_) {
      early_end_ = status;
      return;
    }
    connection_->Close(Connection::kServer, status);
    process_->After(absl::ZeroDuration(), [self = shared_from_this()] { self->Over(); });
  }

 private:
  void Over() {
    scheduler::SchedulerNode* const node = services_->scheduler(process_);
    if (node != nullptr && std::exchange(open_, false)) node->SessionOver(id_, this);
  }

  const std::weak_ptr<SessionState> state_;  // of the client, which owns this
  const std::shared_ptr<Connection> connection_;
  const Services* const services_;
  Process* const process_;
  NodeId id_;
  bool open_ = false;
  scheduler::DirectiveQueue unread_;
  std::vector<Directive> early_;  // sent before the session was known to be established
  std::optional<absl::Status> early_end_;
};

// ---- at the node ----

void SessionState::OnRead() {
  if (session != nullptr) session->OnRead();
}

class SimulatedSchedulerStream : public SchedulerStream {
 public:
  SimulatedSchedulerStream(Process* self, Network* network, const Services* services, const Hello& hello,
                           SchedulerStreamEvents* events)
      : self_(self), state_(std::make_shared<SessionState>()) {
    state_->client = self;
    state_->network = network;
    state_->events = events;
    state_->connection =
        network->Connect(self, kScheduler, [state = state_, services, hello](const auto& connection) {
          state->connection = connection;
          state->session = std::make_shared<SessionAtScheduler>(state, services);
          state->session->Open(hello);
        });
    state_->connection->OnClosed(Connection::kClient, [state = state_](const absl::Status& status) {
      state->closed = status;
      state->Deliver();
    });
    Written();
  }
  ~SimulatedSchedulerStream() override {
    state_->events = nullptr;
    state_->connection->Close(Connection::kClient, absl::CancelledError("the node has left"));
  }

  void Write(NodeReport report) override {
    if (state_->network->Swallows(self_, KindOf(report))) return Written();
    // As bytes, since not everything that can be serialized can be parsed again.
    state_->connection->Send(Connection::kClient, [state = state_, bytes = report.SerializeAsString()] {
      if (state->session != nullptr) state->session->Report(bytes);
    });
    Written();
  }
  void ReadOn() override {
    self_->After(absl::ZeroDuration(), [state = state_] {
      state->reading = true;
      state->Deliver();
    });
  }

 private:
  void Written() {
    self_->After(kHandOver, [state = state_] {
      if (state->events != nullptr && !state->told) state->events->OnWritten();
    });
  }

  Process* const self_;
  const std::shared_ptr<SessionState> state_;
};

class SimulatedSchedulerLink : public SchedulerLink {
 public:
  SimulatedSchedulerLink(Process* self, Network* network, const Services* services)
      : self_(self), network_(network), services_(services) {}
  ~SimulatedSchedulerLink() override { *alive_ = false; }

  void Join(const JoinRequest& request, absl::Duration timeout,
            std::function<void(absl::StatusOr<JoinResponse>)> done) override {
    const auto answer = [alive = alive_, done](const absl::StatusOr<JoinResponse>& response) {
      if (*alive) done(response);
    };
    network_->Call(
        self_, kScheduler, timeout,
        [services = services_, request, answer](Process* process) -> Network::Answer {
          scheduler::SchedulerNode* const node = services->scheduler(process);
          absl::StatusOr<JoinResponse> response = absl::UnavailableError("nobody there");
          if (node != nullptr) response = node->Join(request);
          return [answer, response] { answer(response); };
        },
        [answer](const absl::Status& status) { answer(status); });
  }
  std::unique_ptr<SchedulerStream> Open(const Hello& hello, SchedulerStreamEvents* events) override {
    return std::make_unique<SimulatedSchedulerStream>(self_, network_, services_, hello, events);
  }

 private:
  Process* const self_;
  Network* const network_;
  const Services* const services_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace

std::unique_ptr<SchedulerLink> NewSchedulerLink(Process* self, Network* network, const Services* services) {
  return std::make_unique<SimulatedSchedulerLink>(self, network, services);
}

}  // namespace shoal::simulation
