#include "tests/simulation/push_stream.h"

#include <string>
#include <utility>
#include <vector>

#include "common/protocol/contribution_payload.h"
#include "common/protocol/payload.h"
#include "server/push_binding.h"

namespace shoal::simulation {
namespace {

constexpr absl::Duration kPushSpread = absl::Milliseconds(1);
// How long a server's thread may stand between two steps.
constexpr absl::Duration kMaxPause = absl::Milliseconds(200);

// ---- at the server ----

class PushAtServer : public StreamAtServer {
 public:
  using StreamAtServer::StreamAtServer;

  absl::StatusOr<std::shared_ptr<server::ShardHost>> Bind(server::ServerJobs* node, const ViewKey& view) {
    const bool first = binding_.view().view == ViewId(0);
    auto job = binding_.Bind(view, shared_from_this(), [node](JobId id) { return node->Find(id); });
    if (first && job.ok()) ReleaseWhenClosed();
    return job;
  }

  ViewKey view() const override { return binding_.view(); }

 private:
  void Release() override { binding_.Release(shared_from_this()); }

  server::PushBinding binding_;
};

// ---- at the worker ----

class PushAtWorker : public worker::PushStreamHandle, public std::enable_shared_from_this<PushAtWorker> {
 public:
  PushAtWorker(std::shared_ptr<StreamsAtWorker> streams, worker::StreamPlace place)
      : streams_(std::move(streams)), place_(std::move(place)) {}

  void Start();
  void Cancel() override {
    if (over_) return;
    connection_->Close(Connection::kClient, absl::CancelledError("cancelled"));
    Over(absl::CancelledError("cancelled"));
  }
  void Push(worker::BlockContribution contribution) override;

 private:
  // What happens at the server; `cluster` is the worker's when it was sent.
  struct Arrival {
    ContributionHeader header;
    Payload payload;
    std::string cluster;
    absl::Duration pause;  // of the server's thread once it has found the job
  };
  void Deliver(Arrival arrival);
  void Arrive(const Arrival& arrival);
  void Contribute(server::ShardHost* job, const Arrival& arrival);
  void Over(const absl::Status& status) {
    if (std::exchange(over_, true)) return;
    streams_->options.self->After(kHandOver, [self = shared_from_this(), status] {
      if (self->streams_->alive) self->streams_->events->OnPushDone(self->place_, status);
    });
  }
  // The server answers only when it refuses something: then everything held is sent again, on a new stream.
  void Refused() {
    if (over_) return;
    connection_->Close(Connection::kClient, absl::CancelledError("a contribution was refused"));
    Over(absl::CancelledError("a contribution was refused"));
  }

  const std::shared_ptr<StreamsAtWorker> streams_;
  const worker::StreamPlace place_;
  std::shared_ptr<Connection> connection_;
  std::shared_ptr<PushAtServer> at_server_;  // used there only
  bool over_ = false;
};

void PushAtWorker::Start() {
  connection_ = streams_->options.network->Connect(
      streams_->options.self, place_.address, [self = shared_from_this()](const auto& connection) {
        self->at_server_ = std::make_shared<PushAtServer>(connection);
      });
  streams_->Keep(connection_);
  connection_->OnClosed(Connection::kClient,
                        [self = shared_from_this()](const absl::Status& status) { self->Over(status); });
}

void PushAtWorker::Push(worker::BlockContribution contribution) {
  const ParameterStreamsOptions& options = streams_->options;
  if (over_ || options.network->Swallows(options.self, "contribution")) return;
  ContributionHeader header = contribution.header;
  SetKey(place_.view, &header);
  header.set_wire(options.wire);
  // As a copy: what ships refers to the gradient, and a delivery may be later than the gradient's memory.
  const auto values =
      std::make_shared<std::vector<float>>(contribution.values, contribution.values + contribution.size);
  const Payload payload = EncodeContribution(values, *values, streams_->pool.get(), &header);
  EventQueue& queue = options.network->queue();
  const int copies = queue.Chance(options.network->weather().doubled) ? 2 : 1;
  for (int copy = 0; copy < copies; ++copy) {
    // Contributions of one stream may overtake each other. This is stricter than gRPC, where only the
    // sender's queue reorders.
    Arrival arrival = {header, payload, "", absl::ZeroDuration()};
    const absl::Duration delay = queue.Between(absl::ZeroDuration(), kPushSpread);
    if (copy > 0) arrival.pause = queue.Between(absl::ZeroDuration(), kMaxPause);
    options.self->After(
        delay, [self = shared_from_this(), arrival = std::move(arrival)] { self->Deliver(arrival); });
  }
}

void PushAtWorker::Deliver(Arrival arrival) {
  if (over_ || !streams_->alive) return;
  const ParameterStreamsOptions& options = streams_->options;
  DamageByWeather(options.network, &arrival.header, &arrival.payload);
  arrival.cluster = options.self->cluster();
  connection_->Send(Connection::kClient,
                    [self = shared_from_this(), arrival = std::move(arrival)] { self->Arrive(arrival); });
}

void PushAtWorker::Arrive(const Arrival& arrival) {
  Process* const process = connection_->process(Connection::kServer);
  server::ServerJobs* const node = streams_->options.services->server(process);
  if (node == nullptr || at_server_ == nullptr) return;
  const auto job = at_server_->Bind(node, KeyOf(arrival.header));
  if (!job.ok()) return connection_->Close(Connection::kServer, job.status());
  if (arrival.pause == absl::ZeroDuration()) return Contribute(job->get(), arrival);
  process->After(arrival.pause,
                 [self = shared_from_this(), job = *job, arrival] { self->Contribute(job.get(), arrival); });
}

void PushAtWorker::Contribute(server::ShardHost* job, const Arrival& arrival) {
  const auto result = job->shard().Contribute(arrival.header, arrival.payload);
  if (absl::IsDataLoss(result.status()))
    return connection_->Send(Connection::kServer, [self = shared_from_this()] { self->Refused(); });
  if (!result.ok()) return connection_->Close(Connection::kServer, result.status());
  const std::string& server_cluster = connection_->process(Connection::kServer)->cluster();
  Oracle* const oracle =
      streams_->options.services->Watching(JobId(arrival.header.job()), server_cluster, arrival.cluster);
  if (oracle == nullptr) return;
  oracle->OnPassed("a contribution", arrival.cluster, server_cluster);
  if (arrival.cluster == server_cluster)
    oracle->OnAccepted(job->shard().serving(), arrival.header, arrival.payload);
}

}  // namespace

std::shared_ptr<worker::PushStreamHandle> OpenPush(const std::shared_ptr<StreamsAtWorker>& at_worker,
                                                   const worker::StreamPlace& place) {
  auto push = std::make_shared<PushAtWorker>(at_worker, place);
  push->Start();
  return push;
}

}  // namespace shoal::simulation
