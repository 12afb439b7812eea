// What pulls and pushes (pull_stream.h, push_stream.h) have in common at each of their ends.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "common/base/array_pool.h"
#include "common/protocol/payload.h"
#include "google/protobuf/message.h"
#include "server/worker_streams.h"
#include "tests/simulation/network.h"
#include "tests/simulation/simulated_streams.h"

namespace shoal::simulation {

// What the streams of one link of a worker share; they keep it while they exist. Not thread-safe.
struct StreamsAtWorker {
  StreamsAtWorker(ParameterStreamsOptions its_options, worker::StreamEvents* its_events)
      : options(std::move(its_options)), events(its_events) {}

  // CancelAll closes `connection` if it still exists.
  void Keep(const std::shared_ptr<Connection>& connection);
  // Afterwards no events may be delivered.
  void CancelAll();

  const ParameterStreamsOptions options;
  worker::StreamEvents* const events;
  const std::shared_ptr<ArrayPool> pool = ArrayPool::Create();
  bool alive = true;  // events may be delivered
  std::vector<std::weak_ptr<Connection>> connections;
};

// The server's end of a stream. Not thread-safe.
class StreamAtServer : public server::WorkerStream, public std::enable_shared_from_this<StreamAtServer> {
 public:
  explicit StreamAtServer(std::shared_ptr<Connection> connection) : connection_(std::move(connection)) {}

  // Closes the connection now and leaves the job in another event.
  void End(const absl::Status& status) override;

 protected:
  // Leaves the job. May be called twice.
  virtual void Release() = 0;
  // Releases when the worker closes the connection, or when it breaks.
  void ReleaseWhenClosed();

  Connection& connection() const { return *connection_; }
  Process* process() const { return connection_->process(Connection::kServer); }

 private:
  const std::shared_ptr<Connection> connection_;
};

// With the weather's probability flips a bit, either of `payload` or of any field of its header.
void DamageByWeather(Network* network, google::protobuf::Message* header, Payload* payload);

}  // namespace shoal::simulation
