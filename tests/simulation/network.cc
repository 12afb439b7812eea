#include "tests/simulation/network.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace shoal::simulation {
namespace {

// How long a connection that lets nothing through appears to be alive.
constexpr absl::Duration kKeepAlive = absl::Milliseconds(600);
constexpr size_t kSweep = 256;  // number of connections at which closed ones are forgotten

}  // namespace

// ---- Connection ----

void Connection::Send(End from, std::function<void()> event) {
  Side& here = ends_[from];
  Side& there = ends_[1 - from];
  if (here.closed || !here.process->Act() || broken_) return;
  EventQueue& queue = network_->queue();
  if (queue.Chance(network_->weather().lost)) {
    broken_ = true;  // nothing arrives after the lost message
    return Break(network_->Delay(), absl::UnavailableError("connection reset by peer"));
  }
  // TCP retransmits what is lost, until the connection breaks.
  const absl::Time way_is_free = std::max(queue.now(), network_->CutUntil(here.process, there.process));
  there.arrival = std::max(there.arrival, way_is_free + network_->Delay());
  there.process->After(
      there.arrival - queue.now(),
      [self = shared_from_this(), to = static_cast<End>(1 - from), event = std::move(event)] {
        if (!self->ends_[to].closed) event();
      });
}

void Connection::Close(End from, const absl::Status& status) {
  Side& here = ends_[from];
  if (here.closed) return;
  here.closed = true;
  here.on_closed = nullptr;
  if (!here.process->Act()) return;
  Side& there = ends_[1 - from];
  const absl::Time way_is_free =
      std::max(network_->queue().now(), network_->CutUntil(here.process, there.process));
  there.arrival = std::max(there.arrival, way_is_free + network_->Delay());
  Tell(static_cast<End>(1 - from), there.arrival - network_->queue().now(), status);
}

void Connection::Break(absl::Duration delay, const absl::Status& status) {
  Tell(kClient, delay, status);
  Tell(kServer, delay + network_->Delay(), status);
}

void Connection::Tell(End end, absl::Duration delay, const absl::Status& status) {
  ends_[end].process->After(delay, [self = shared_from_this(), end, status] {
    Side& side = self->ends_[end];
    if (std::exchange(side.closed, true)) return;
    const auto closed = std::exchange(side.on_closed, nullptr);
    if (closed) closed(status);
  });
}

// ---- Network ----

Process* Network::Find(const std::string& address) const {
  const auto found = listeners_.find(address);
  return found == listeners_.end() || !found->second->alive() ? nullptr : found->second;
}

void Network::Cut(const Process* from, const Process* to, absl::Duration length) {
  absl::Time& until = cut_until_[{from, to}];
  until = std::max(until, queue_->now() + length);
  if (length < kKeepAlive) return;
  for (const auto& weak : connections_) {
    const auto connection = weak.lock();
    if (connection == nullptr) continue;
    const Process* client = connection->process(Connection::kClient);
    const Process* server = connection->process(Connection::kServer);
    if (!((client == from && server == to) || (client == to && server == from))) continue;
    connection->Break(kKeepAlive, absl::UnavailableError("keep-alive: no answer"));
  }
}

absl::Time Network::CutUntil(const Process* from, const Process* to) const {
  const auto found = cut_until_.find({from, to});
  return found == cut_until_.end() ? absl::InfinitePast() : found->second;
}

void Network::Swallow(const Process* process, const std::string& kind, uint64_t first,
                      absl::Duration length) {
  swallowing_[{process, kind}] = {first, length, absl::InfinitePast()};
}

bool Network::Swallows(const Process* process, const std::string& kind) {
  const auto found = swallowing_.find({process, kind});
  if (found == swallowing_.end()) return false;
  Swallowing& swallowing = found->second;
  if (swallowing.until == absl::InfinitePast()) {
    if (swallowing.left-- > 0) return false;
    swallowing.until = queue_->now() + swallowing.length;
    return true;
  }
  return queue_->now() < swallowing.until;
}

std::shared_ptr<Connection> Network::Connect(
    Process* client, const std::string& address,
    std::function<void(const std::shared_ptr<Connection>&)> accepted) {
  auto connection = std::make_shared<Connection>();
  connection->network_ = this;
  connection->ends_[Connection::kClient].process = client;
  connection->ends_[Connection::kClient].arrival = queue_->now();
  Process* const server = Find(address);
  connection->ends_[Connection::kServer].process = server == nullptr ? client : server;
  connection->ends_[Connection::kServer].arrival = queue_->now();
  if (connections_.size() % kSweep == 0) {
    connections_.erase(std::remove_if(connections_.begin(), connections_.end(),
                                      [](const auto& weak) { return weak.expired(); }),
                       connections_.end());
  }
  connections_.push_back(connection);
  if (server == nullptr) {
    connection->Tell(Connection::kClient, Delay(), absl::UnavailableError("connection refused"));
    return connection;
  }
  if (IsCut(client, server) || IsCut(server, client)) {
    connection->Tell(Connection::kClient, kKeepAlive, absl::UnavailableError("connection timed out"));
    return connection;
  }
  connection->Send(Connection::kClient,
                   [connection, accepted = std::move(accepted)] { accepted(connection); });
  return connection;
}

void Network::Call(Process* client, const std::string& address, absl::Duration timeout,
                   std::function<Answer(Process*)> handle,
                   const std::function<void(const absl::Status&)>& failed) {
  if (!client->Act()) return;
  const auto over = std::make_shared<bool>(false);
  const auto fail = [client, over, failed](absl::Duration delay, const absl::Status& status) {
    client->After(delay, [over, failed, status] {
      if (!std::exchange(*over, true)) failed(status);
    });
  };
  Process* const server = Find(address);
  if (server == nullptr) return fail(Delay(), absl::UnavailableError("connection refused"));
  fail(timeout, absl::DeadlineExceededError("Deadline Exceeded"));
  if (IsCut(client, server)) return;
  if (queue_->Chance(weather_.lost)) return fail(Delay(), absl::UnavailableError("connection reset by peer"));
  const auto arrive = [this, client, server, over, handle = std::move(handle)] {
    const Answer answer = handle(server);
    if (!server->Act() || IsCut(server, client)) return;
    client->After(Delay(), [over, answer] {
      if (!std::exchange(*over, true)) answer();
    });
  };
  server->After(Delay(), arrive);
  if (queue_->Chance(weather_.doubled)) server->After(Delay(), arrive);
}

// Callbacks own objects that own the connection.
Network::~Network() {
  for (const auto& weak : connections_) {
    const auto connection = weak.lock();
    if (connection == nullptr) continue;
    for (Connection::Side& side : connection->ends_) side.on_closed = nullptr;
  }
}

void Network::Died(const Process* process, bool power) {
  for (size_t i = 0; i < connections_.size(); ++i) {  // callbacks may connect
    const auto connection = connections_[i].lock();
    if (connection == nullptr) continue;
    for (const Connection::End end : {Connection::kClient, Connection::kServer}) {
      Connection::Side& side = connection->ends_[end];
      if (side.process != process) continue;
      // The callback has no effect in the dead process, except that it releases what it owns.
      side.closed = true;
      const auto closed = std::exchange(side.on_closed, nullptr);
      if (closed) closed(absl::CancelledError("this process is dead"));
      connection->Tell(static_cast<Connection::End>(1 - end), power ? kKeepAlive : Delay(),
                       absl::UnavailableError("connection reset by peer"));
    }
  }
}

}  // namespace shoal::simulation
