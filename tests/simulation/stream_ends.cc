#include "tests/simulation/stream_ends.h"

#include <algorithm>

namespace shoal::simulation {
namespace {

Payload Damage(EventQueue* queue, const Payload& payload) {
  std::vector<uint8_t> bytes;
  for (const grpc::Slice& slice : payload.slices()) bytes.insert(bytes.end(), slice.begin(), slice.end());
  bytes[queue->Below(bytes.size())] ^= static_cast<uint8_t>(1 << queue->Below(8));
  return Payload::CopyOf(bytes);
}

}  // namespace

void StreamsAtWorker::Keep(const std::shared_ptr<Connection>& connection) {
  connections.erase(
      std::remove_if(connections.begin(), connections.end(), [](const auto& weak) { return weak.expired(); }),
      connections.end());
  connections.push_back(connection);
}

void StreamsAtWorker::CancelAll() {
  alive = false;
  for (const auto& connection : connections) {
    const auto open = connection.lock();
    if (open != nullptr) open->Close(Connection::kClient, absl::CancelledError("cancelled"));
  }
}

void StreamAtServer::End(const absl::Status& status) {
  connection_->Close(Connection::kServer, status);
  process()->After(absl::ZeroDuration(), [self = shared_from_this()] { self->Release(); });
}

void StreamAtServer::ReleaseWhenClosed() {
  connection_->OnClosed(Connection::kServer,
                        [self = shared_from_this()](const absl::Status&) { self->Release(); });
}

uint64_t DamageByWeather(Network* network, uint64_t number, Payload* payload) {
  EventQueue& queue = network->queue();
  if (!queue.Chance(network->weather().damaged)) return number;
  if (!queue.Chance(0.5)) return number ^ (1 << queue.Below(4));
  *payload = Damage(&queue, *payload);
  return number;
}

}  // namespace shoal::simulation
