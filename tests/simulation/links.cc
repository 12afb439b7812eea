#include "tests/simulation/links.h"

#include <algorithm>
#include <deque>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/wire.h"
#include "common/protocol/block_checksum.h"
#include "common/protocol/payload.h"
#include "server/push_binding.h"
#include "server/subscription.h"
#include "worker/published_check.h"

namespace shoal::simulation {
namespace {

constexpr absl::Duration kHandOver = absl::Microseconds(20);  // handing a message to the transport
constexpr int kWindow = 3;  // blocks that a server sends ahead of the worker
constexpr absl::Duration kPushSpread = absl::Milliseconds(1);

// ---- the session ----

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
      return events->OnDirective(std::move(next));
    }
    if (!closed) return;
    told = true;
    events->OnClosed(*closed);
  }
};

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
    const absl::Status status =
        report.ParseFromString(bytes) ? node->Report(id_, report) : absl::InternalError("can't be parsed");
    if (!status.ok()) End(status);
  }

  void Send(const Directive& directive) override {
    if (!open_) return early_.push_back(directive);
    const auto client = state_.lock();
    if (client != nullptr && client->network->Swallows(client->client, KindOf(directive))) return;
    connection_->Send(Connection::kServer, [weak = state_, directive] {
      const auto state = weak.lock();
      if (state == nullptr) return;
      state->incoming.push_back(directive);
      state->Deliver();
    });
  }
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
  std::vector<Directive> early_;  // sent before the session was known to be established
  std::optional<absl::Status> early_end_;
};

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

// ---- other servers ----

class SimulatedPeerLink : public server::PeerLink {
 public:
  SimulatedPeerLink(Process* self, Network* network, const Services* services)
      : self_(self), network_(network), services_(services) {}

  void GetNorms(const std::string& address, const NormsRequest& request, absl::Duration timeout,
                NormsDone done) override {
    network_->Call(
        self_, address, timeout,
        [network = network_, services = services_, request, done,
         cluster = self_->cluster()](Process* process) -> Network::Answer {
          absl::StatusOr<Norms> answer = absl::UnavailableError("nobody there");
          server::ServerNode* const node = services->server(process);
          if (node != nullptr) {
            const auto job = node->Find(JobId(request.job()));
            answer = job.ok() ? (*job)->shard().GetNorms(request) : absl::StatusOr<Norms>(job.status());
          }
          if (answer.ok() && answer->squared_norms_size() > 0) {
            Oracle* const oracle = services->Watching(JobId(request.job()), process->cluster(), cluster);
            if (oracle != nullptr) oracle->OnPassed("norms", process->cluster(), cluster);
            if (network->queue().Chance(network->weather().damaged))
              answer->set_squared_norms(0, answer->squared_norms(0) * 1.5);
          }
          return [done, answer] { done(answer); };
        },
        [done](const absl::Status& status) { done(status); });
  }

 private:
  Process* const self_;
  Network* const network_;
  const Services* const services_;
};

// ---- pulls, at the server ----

struct PublishedAtClient {
  PublishedHeader header;
  Payload payload;
  std::string cluster;  // of the server when it was sent
};
using Delivered = std::function<void(PublishedAtClient)>;

class PullAtServer : public server::WorkerStream, public std::enable_shared_from_this<PullAtServer> {
 public:
  PullAtServer(std::shared_ptr<server::ShardHost> job, const ViewKey& view, Version from,
               absl::Span<const BlockId> blocks, std::shared_ptr<Connection> connection, Network* network,
               Delivered delivered)
      : job_(std::move(job)),
        view_(view),
        subscription_(from, blocks),
        connection_(std::move(connection)),
        network_(network),
        delivered_(std::move(delivered)) {}

  void Start() {
    connection_->OnClosed(Connection::kServer,
                          [self = shared_from_this()](const absl::Status&) { self->Release(); });
    const absl::Status status = job_->Attach(shared_from_this());
    if (!status.ok()) return End(status);
    Pump();
  }
  void Acknowledge() {
    --under_way_;
    Pump();
  }

  ViewKey view() const override { return view_; }
  void Wake(BlockId block) override {
    subscription_.Signal(block);
    Pump();
  }
  void End(const absl::Status& status) override {
    connection_->Close(Connection::kServer, status);
    connection_->process(Connection::kServer)->After(absl::ZeroDuration(), [self = shared_from_this()] {
      self->Release();
    });
  }

 private:
  void Pump() {
    while (job_ != nullptr && connection_->open(Connection::kServer) && under_way_ < kWindow) {
      const auto next = subscription_.Next(
          [this](BlockId block, Version version) { return job_->shard().Published(view_, block, version); });
      if (!next.ok()) return End(next.status());
      if (!*next) return;
      if (network_->Swallows(connection_->process(Connection::kServer), "block")) continue;
      PublishedAtClient message;
      SetKey(view_, &message.header);
      message.header.set_version((*next)->published.version.value());
      message.header.set_block(static_cast<uint32_t>((*next)->block.value()));
      message.header.set_wire((*next)->published.wire);
      message.header.set_crc32c(BlockChecksum(message.header, (*next)->published.payload_crc32c));
      message.payload = (*next)->published.payload;
      message.cluster = connection_->process(Connection::kServer)->cluster();
      EventQueue& queue = network_->queue();
      if (queue.Chance(network_->weather().damaged)) {
        if (queue.Chance(0.5)) {
          message.payload = Damage(&queue, message.payload);
        } else {
          message.header.set_version(message.header.version() ^ (1 << queue.Below(4)));
        }
      }
      ++under_way_;
      connection_->Send(Connection::kServer,
                        [delivered = delivered_, message = std::move(message)] { delivered(message); });
    }
  }
  void Release() {
    if (job_ == nullptr) return;
    job_->Detach(shared_from_this());
    job_.reset();
  }

 public:
  static Payload Damage(EventQueue* queue, const Payload& payload) {
    std::vector<uint8_t> bytes;
    for (const grpc::Slice& slice : payload.slices()) bytes.insert(bytes.end(), slice.begin(), slice.end());
    bytes[queue->Below(bytes.size())] ^= static_cast<uint8_t>(1 << queue->Below(8));
    return Payload::CopyOf(bytes);
  }

 private:
  std::shared_ptr<server::ShardHost> job_;  // null: released
  const ViewKey view_;
  server::Subscription subscription_;
  const std::shared_ptr<Connection> connection_;
  Network* const network_;
  const Delivered delivered_;
  int under_way_ = 0;
};

// ---- pushes, at the server ----

class PushAtServer : public server::WorkerStream, public std::enable_shared_from_this<PushAtServer> {
 public:
  explicit PushAtServer(const std::shared_ptr<Connection>& connection) : connection_(connection) {}

  absl::StatusOr<std::shared_ptr<server::ShardHost>> Bind(server::ServerNode* node, const ViewKey& view) {
    const bool first = binding_.view().view == ViewId(0);
    auto job = binding_.Bind(view, shared_from_this(), [node](JobId id) { return node->Find(id); });
    if (first && job.ok()) {
      connection_->OnClosed(Connection::kServer,
                            [self = shared_from_this()](const absl::Status&) { self->Release(); });
    }
    return job;
  }

  ViewKey view() const override { return binding_.view(); }
  void End(const absl::Status& status) override {
    connection_->Close(Connection::kServer, status);
    connection_->process(Connection::kServer)->After(absl::ZeroDuration(), [self = shared_from_this()] {
      self->Release();
    });
  }

 private:
  void Release() { binding_.Release(shared_from_this()); }

  const std::shared_ptr<Connection> connection_;
  server::PushBinding binding_;
};

// ---- the data plane, at the worker ----

// Each stream still reports its end once after it was cancelled, as in gRPC.
class SimulatedStreams : public worker::ParameterStreams {
 public:
  SimulatedStreams(ParameterStreamsOptions options, worker::StreamEvents* events)
      : shared_(std::make_shared<Shared>(Shared{std::move(options), events, true, {}})) {}
  ~SimulatedStreams() override {
    shared_->alive = false;
    for (const auto& connection : shared_->connections) {
      const auto open = connection.lock();
      if (open != nullptr) open->Close(Connection::kClient, absl::CancelledError("cancelled"));
    }
  }

  std::shared_ptr<worker::PullStreamHandle> Pull(const worker::StreamPlace& place, Version from) override;
  std::shared_ptr<worker::PushStreamHandle> Push(const worker::StreamPlace& place) override;
  void AskVersions(const worker::StreamPlace& place) override;

 private:
  struct Shared {
    ParameterStreamsOptions options;
    worker::StreamEvents* events;
    bool alive;  // events may be delivered
    std::vector<std::weak_ptr<Connection>> connections;

    void Keep(const std::shared_ptr<Connection>& connection) {
      connections.erase(std::remove_if(connections.begin(), connections.end(),
                                       [](const auto& weak) { return weak.expired(); }),
                        connections.end());
      connections.push_back(connection);
    }
  };
  class PullAtWorker;
  class PushAtWorker;

  const std::shared_ptr<Shared> shared_;
};

class SimulatedStreams::PullAtWorker : public worker::PullStreamHandle,
                                       public std::enable_shared_from_this<PullAtWorker> {
 public:
  PullAtWorker(std::shared_ptr<Shared> shared, worker::StreamPlace place)
      : shared_(std::move(shared)), place_(std::move(place)) {}

  void Start(Version from) {
    const ParameterStreamsOptions& options = shared_->options;
    const auto self = shared_from_this();
    // Weak: the server's end owns this and is owned by the worker's end.
    const auto delivered = [weak = weak_from_this()](PublishedAtClient message) {
      if (const auto worker = weak.lock()) worker->Take(std::move(message));
    };
    connection_ = options.network->Connect(
        options.self, place_.address,
        [self, services = options.services, network = options.network, view = place_.view, from,
         delivered](const std::shared_ptr<Connection>& connection) {
          server::ServerNode* const node = services->server(connection->process(Connection::kServer));
          if (node == nullptr) return;
          const auto found = node->Find(view.job);
          if (!found.ok()) return connection->Close(Connection::kServer, found.status());
          const auto blocks = (*found)->shard().Blocks(view);
          if (!blocks.ok()) return connection->Close(Connection::kServer, blocks.status());
          self->at_server_ =
              std::make_shared<PullAtServer>(*found, view, from, *blocks, connection, network, delivered);
          self->at_server_->Start();
        });
    shared_->Keep(connection_);
    connection_->OnClosed(Connection::kClient, [self](const absl::Status& status) { self->Over(status); });
  }
  void Cancel() override {
    if (over_) return;
    over_ = true;
    waiting_.clear();
    connection_->Close(Connection::kClient, absl::CancelledError("cancelled"));
    Tell(absl::CancelledError("cancelled"));
  }
  void Resume() override { Offer(); }

 private:
  void Take(PublishedAtClient message) {
    if (over_ || !shared_->alive) return;
    if (!worker::CheckPublished({message.header, message.payload}, place_.view,
                                shared_->options.block_elements)
             .ok()) {
      connection_->Close(Connection::kClient, absl::CancelledError("damaged"));
      return Over(absl::DataLossError("a block arrived damaged"));
    }
    shared_->events->OnDelivery(place_);
    waiting_.push_back(std::move(message));
    Offer();
  }
  void Offer() {
    if (offering_) return;
    offering_ = true;
    while (!over_ && shared_->alive && !waiting_.empty()) {
      const PublishedAtClient message = waiting_.front();
      const ParameterStreamsOptions& options = shared_->options;
      const uint64_t elements = options.block_elements[message.header.block()];
      const bool taken = shared_->events->OnBlock(message.header, [&](float* out) {
        DecodePayload(message.header.wire(), message.payload, absl::MakeSpan(out, elements));
      });
      if (!taken) break;
      Oracle* const oracle =
          options.services->Watching(place_.view.job, options.self->cluster(), message.cluster);
      if (oracle != nullptr && !over_) oracle->OnPassed("a block", message.cluster, options.self->cluster());
      if (waiting_.empty()) continue;  // cancelled meanwhile
      waiting_.pop_front();
      connection_->Send(Connection::kClient, [at_server = at_server_] {
        if (at_server != nullptr) at_server->Acknowledge();
      });
    }
    offering_ = false;
  }
  void Over(const absl::Status& status) {
    if (std::exchange(over_, true)) return;
    waiting_.clear();
    Tell(status);
  }
  void Tell(const absl::Status& status) {
    shared_->options.self->After(kHandOver, [self = shared_from_this(), status] {
      if (self->shared_->alive) self->shared_->events->OnPullDone(self->place_, status);
    });
  }

  const std::shared_ptr<Shared> shared_;
  const worker::StreamPlace place_;
  std::shared_ptr<Connection> connection_;
  std::shared_ptr<PullAtServer> at_server_;  // used there only
  std::deque<PublishedAtClient> waiting_;    // offered one by one
  bool offering_ = false;
  bool over_ = false;
};

std::shared_ptr<worker::PullStreamHandle> SimulatedStreams::Pull(const worker::StreamPlace& place,
                                                                 Version from) {
  auto pull = std::make_shared<PullAtWorker>(shared_, place);
  pull->Start(from);
  return pull;
}

class SimulatedStreams::PushAtWorker : public worker::PushStreamHandle,
                                       public std::enable_shared_from_this<PushAtWorker> {
 public:
  PushAtWorker(std::shared_ptr<Shared> shared, worker::StreamPlace place)
      : shared_(std::move(shared)), place_(std::move(place)) {}

  void Start() {
    connection_ = shared_->options.network->Connect(
        shared_->options.self, place_.address, [self = shared_from_this()](const auto& connection) {
          self->at_server_ = std::make_shared<PushAtServer>(connection);
        });
    shared_->Keep(connection_);
    connection_->OnClosed(Connection::kClient,
                          [self = shared_from_this()](const absl::Status& status) { self->Over(status); });
  }
  void Cancel() override {
    if (over_) return;
    connection_->Close(Connection::kClient, absl::CancelledError("cancelled"));
    Over(absl::CancelledError("cancelled"));
  }
  void Push(worker::BlockContribution contribution) override;

 private:
  void Deliver(ContributionHeader header, const Payload& payload);
  void Over(const absl::Status& status) {
    if (std::exchange(over_, true)) return;
    shared_->options.self->After(kHandOver, [self = shared_from_this(), status] {
      if (self->shared_->alive) self->shared_->events->OnPushDone(self->place_, status);
    });
  }
  // The server answers only when it refuses something: then everything held is sent again, on a new stream.
  void Refused() {
    if (over_) return;
    connection_->Close(Connection::kClient, absl::CancelledError("a contribution was refused"));
    Over(absl::CancelledError("a contribution was refused"));
  }

  const std::shared_ptr<Shared> shared_;
  const worker::StreamPlace place_;
  std::shared_ptr<Connection> connection_;
  std::shared_ptr<PushAtServer> at_server_;  // used there only
  bool over_ = false;
};

std::shared_ptr<worker::PushStreamHandle> SimulatedStreams::Push(const worker::StreamPlace& place) {
  auto push = std::make_shared<PushAtWorker>(shared_, place);
  push->Start();
  return push;
}

void SimulatedStreams::PushAtWorker::Push(worker::BlockContribution contribution) {
  const ParameterStreamsOptions& options = shared_->options;
  if (over_ || options.network->Swallows(options.self, "contribution")) return;
  ContributionHeader header = contribution.header;
  SetKey(place_.view, &header);
  header.set_wire(options.wire);
  std::vector<uint8_t> bytes(EncodedBytes(options.wire, contribution.size));
  Encode(options.wire, absl::MakeConstSpan(contribution.values, contribution.size), absl::MakeSpan(bytes));
  const Payload payload = Payload::CopyOf(bytes);
  header.set_crc32c(BlockChecksum(header, payload.Crc32c()));
  EventQueue& queue = options.network->queue();
  const int copies = queue.Chance(options.network->weather().doubled) ? 2 : 1;
  for (int copy = 0; copy < copies; ++copy) {
    // Contributions of one stream may overtake each other. This is stricter than gRPC, where only the
    // sender's queue reorders.
    options.self->After(queue.Between(absl::ZeroDuration(), kPushSpread),
                        [self = shared_from_this(), header, payload] { self->Deliver(header, payload); });
  }
}

void SimulatedStreams::PushAtWorker::Deliver(ContributionHeader header, const Payload& payload) {
  if (over_ || !shared_->alive) return;
  const ParameterStreamsOptions& options = shared_->options;
  EventQueue& queue = options.network->queue();
  Payload sent = payload;
  if (queue.Chance(options.network->weather().damaged)) {
    if (queue.Chance(0.5)) {
      sent = PullAtServer::Damage(&queue, payload);
    } else {
      header.set_round(header.round() ^ (1 << queue.Below(4)));
    }
  }
  connection_->Send(Connection::kClient, [self = shared_from_this(), services = options.services,
                                          header = std::move(header), sent = std::move(sent),
                                          cluster = options.self->cluster()] {
    Connection& connection = *self->connection_;
    server::ServerNode* const node = services->server(connection.process(Connection::kServer));
    if (node == nullptr || self->at_server_ == nullptr) return;
    const auto job = self->at_server_->Bind(node, KeyOf(header));
    if (!job.ok()) return connection.Close(Connection::kServer, job.status());
    const auto result = (*job)->shard().Contribute(header, sent);
    if (absl::IsDataLoss(result.status()))
      return connection.Send(Connection::kServer, [self] { self->Refused(); });
    if (!result.ok()) return connection.Close(Connection::kServer, result.status());
    const std::string& server_cluster = connection.process(Connection::kServer)->cluster();
    Oracle* const oracle = services->Watching(JobId(header.job()), server_cluster, cluster);
    if (oracle == nullptr || *result != server::ContributionResult::kAdded) return;
    oracle->OnPassed("a contribution", cluster, server_cluster);
    if (cluster == server_cluster) oracle->OnAdded((*job)->shard().serving(), header, sent);
  });
}

void SimulatedStreams::AskVersions(const worker::StreamPlace& place) {
  const ParameterStreamsOptions& options = shared_->options;
  const auto answered = [shared = shared_, place](const absl::StatusOr<Version>& lowest) {
    if (shared->alive) shared->events->OnVersionsDone(place, lowest);
  };
  options.network->Call(
      options.self, place.address, worker::ParameterStreams::kVersionsTimeout,
      [services = options.services, view = place.view, answered](Process* process) -> Network::Answer {
        server::ServerNode* const node = services->server(process);
        absl::StatusOr<Version> lowest = absl::UnavailableError("nobody there");
        if (node != nullptr) {
          const auto found = node->Find(view.job);
          if (!found.ok()) {
            lowest = found.status();
          } else {
            const auto versions = (*found)->shard().Versions(view);
            lowest = versions.ok() ? absl::StatusOr<Version>(versions->lowest) : versions.status();
          }
        }
        return [answered, lowest] { answered(lowest); };
      },
      [answered](const absl::Status& status) { answered(status); });
}

}  // namespace

std::unique_ptr<SchedulerLink> NewSchedulerLink(Process* self, Network* network, const Services* services) {
  return std::make_unique<SimulatedSchedulerLink>(self, network, services);
}

std::unique_ptr<server::PeerLink> NewPeerLink(Process* self, Network* network, const Services* services) {
  return std::make_unique<SimulatedPeerLink>(self, network, services);
}

std::unique_ptr<worker::ParameterStreams> NewParameterStreams(const ParameterStreamsOptions& options,
                                                              worker::StreamEvents* events) {
  return std::make_unique<SimulatedStreams>(options, events);
}

}  // namespace shoal::simulation
