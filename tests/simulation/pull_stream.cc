#include "tests/simulation/pull_stream.h"

#include <deque>
#include <functional>
#include <string>
#include <utility>

#include "common/base/wire.h"
#include "common/protocol/block_checksum.h"
#include "server/subscription.h"
#include "worker/published_check.h"

namespace shoal::simulation {
namespace {

constexpr int kWindow = 3;  // blocks that a server sends ahead of the worker

struct PublishedAtClient {
  PublishedHeader header;
  Payload payload;
  std::string cluster;   // of the server when it was sent
  bool is_copy = false;  // delivered once more
};
using Delivered = std::function<void(PublishedAtClient)>;

// ---- at the server ----

class PullAtServer : public StreamAtServer {
 public:
  PullAtServer(std::shared_ptr<server::ShardHost> job, const ViewKey& view, Version from,
               absl::Span<const BlockId> blocks, std::shared_ptr<Connection> connection, Network* network,
               Delivered delivered)
      : StreamAtServer(std::move(connection)),
        job_(std::move(job)),
        view_(view),
        subscription_(from, blocks),
        network_(network),
        delivered_(std::move(delivered)) {}

  void Start() {
    ReleaseWhenClosed();
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

 private:
  void Pump();
  PublishedAtClient MessageOf(BlockId block, const server::PublishedVersion& published) const;
  void Release() override {
    if (job_ == nullptr) return;
    job_->Detach(shared_from_this());
    job_.reset();
  }

  std::shared_ptr<server::ShardHost> job_;  // null: released
  const ViewKey view_;
  server::Subscription subscription_;
  Network* const network_;
  const Delivered delivered_;
  int under_way_ = 0;
};

void PullAtServer::Pump() {
  while (job_ != nullptr && connection().open(Connection::kServer) && under_way_ < kWindow) {
    const auto next = subscription_.Next(
        [this](BlockId block, Version version) { return job_->shard().Published(view_, block, version); });
    if (!next.ok()) return End(next.status());
    if (!*next) return;
    if (network_->Swallows(process(), "block")) continue;
    PublishedAtClient message = MessageOf((*next)->block, (*next)->published);
    DamageByWeather(network_, &message.header, &message.payload);
    ++under_way_;
    connection().Send(Connection::kServer,
                      [delivered = delivered_, message = std::move(message)] { delivered(message); });
  }
}

PublishedAtClient PullAtServer::MessageOf(BlockId block, const server::PublishedVersion& published) const {
  PublishedAtClient message;
  SetKey(view_, &message.header);
  message.header.set_version(published.version.value());
  message.header.set_block(static_cast<uint32_t>(block.value()));
  message.header.set_wire(published.wire);
  message.header.set_with_average(published.with_average);
  message.header.set_crc32c(BlockChecksum(message.header, published.payload_crc32c));
  message.payload = published.payload;
  message.cluster = process()->cluster();
  return message;
}

// ---- at the worker ----

class PullAtWorker : public worker::PullStreamHandle, public std::enable_shared_from_this<PullAtWorker> {
 public:
  PullAtWorker(std::shared_ptr<StreamsAtWorker> streams, worker::StreamPlace place)
      : streams_(std::move(streams)), place_(std::move(place)) {}

  void Start(Version from);
  void Cancel() override {
    if (over_) return;
    over_ = true;
    waiting_.clear();
    connection_->Close(Connection::kClient, absl::CancelledError("cancelled"));
    Tell(absl::CancelledError("cancelled"));
  }
  void Resume() override { Offer(); }

 private:
  void AcceptAtServer(const std::shared_ptr<Connection>& connection, Version from);
  void Take(PublishedAtClient message);
  void Offer();
  // Whether the worker has taken it.
  bool OfferOne(const PublishedAtClient& message);
  void Over(const absl::Status& status) {
    if (std::exchange(over_, true)) return;
    waiting_.clear();
    Tell(status);
  }
  void Tell(const absl::Status& status) {
    streams_->options.self->After(kHandOver, [self = shared_from_this(), status] {
      if (self->streams_->alive) self->streams_->events->OnPullDone(self->place_, status);
    });
  }

  const std::shared_ptr<StreamsAtWorker> streams_;
  const worker::StreamPlace place_;
  std::shared_ptr<Connection> connection_;
  std::shared_ptr<PullAtServer> at_server_;  // used there only
  std::deque<PublishedAtClient> waiting_;    // offered one by one
  bool offering_ = false;
  bool over_ = false;
};

void PullAtWorker::Start(Version from) {
  connection_ = streams_->options.network->Connect(
      streams_->options.self, place_.address,
      [self = shared_from_this(), from](const std::shared_ptr<Connection>& connection) {
        self->AcceptAtServer(connection, from);
      });
  streams_->Keep(connection_);
  connection_->OnClosed(Connection::kClient,
                        [self = shared_from_this()](const absl::Status& status) { self->Over(status); });
}

void PullAtWorker::AcceptAtServer(const std::shared_ptr<Connection>& connection, Version from) {
  const ParameterStreamsOptions& options = streams_->options;
  server::ServerJobs* const node = options.services->server(connection->process(Connection::kServer));
  if (node == nullptr) return;
  const auto found = node->Find(place_.view.job);
  if (!found.ok()) return connection->Close(Connection::kServer, found.status());
  const auto blocks = (*found)->shard().Blocks(place_.view);
  if (!blocks.ok()) return connection->Close(Connection::kServer, blocks.status());
  // Weak: the server's end owns this and is owned by the worker's end.
  const auto delivered = [weak = weak_from_this()](PublishedAtClient message) {
    if (const auto worker = weak.lock()) worker->Take(std::move(message));
  };
  at_server_ = std::make_shared<PullAtServer>(*found, place_.view, from, *blocks, connection, options.network,
                                              delivered);
  at_server_->Start();
}

void PullAtWorker::Take(PublishedAtClient message) {
  if (over_ || !streams_->alive) return;
  if (!worker::CheckPublished({message.header, message.payload}, place_.view,
                              streams_->options.block_elements)
           .ok()) {
    connection_->Close(Connection::kClient, absl::CancelledError("damaged"));
    return Over(absl::DataLossError("a block arrived damaged"));
  }
  streams_->events->OnDelivery(place_);
  waiting_.push_back(std::move(message));
  if (streams_->options.network->DoublesBlock()) {
    waiting_.push_back(waiting_.back());
    waiting_.back().is_copy = true;
  }
  Offer();
}

void PullAtWorker::Offer() {
  if (offering_) return;
  offering_ = true;
  while (!over_ && streams_->alive && !waiting_.empty()) {
    const PublishedAtClient message = waiting_.front();
    if (!OfferOne(message)) break;
    if (waiting_.empty()) continue;  // cancelled meanwhile
    waiting_.pop_front();
    if (message.is_copy) continue;
    connection_->Send(Connection::kClient, [at_server = at_server_] {
      if (at_server != nullptr) at_server->Acknowledge();
    });
  }
  offering_ = false;
}

bool PullAtWorker::OfferOne(const PublishedAtClient& message) {
  const ParameterStreamsOptions& options = streams_->options;
  const uint64_t elements = options.block_elements[message.header.block()];
  const bool taken = streams_->events->OnBlock(message.header, [&](const worker::BlockMemory& to) {
    StoreBlock({message.header, message.payload}, elements, to);
  });
  if (!taken) return false;
  Oracle* const oracle =
      options.services->Watching(place_.view.job, options.self->cluster(), message.cluster);
  if (oracle != nullptr && !over_) oracle->OnPassed("a block", message.cluster, options.self->cluster());
  return true;
}

}  // namespace

std::shared_ptr<worker::PullStreamHandle> OpenPull(const std::shared_ptr<StreamsAtWorker>& at_worker,
                                                   const worker::StreamPlace& place, Version from) {
  auto pull = std::make_shared<PullAtWorker>(at_worker, place);
  pull->Start(from);
  return pull;
}

}  // namespace shoal::simulation
