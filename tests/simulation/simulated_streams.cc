#include "tests/simulation/simulated_streams.h"

#include "tests/simulation/pull_stream.h"
#include "tests/simulation/push_stream.h"
#include "tests/simulation/stream_ends.h"

namespace shoal::simulation {
namespace {

absl::StatusOr<Version> LowestVersion(server::ServerJobs* node, const ViewKey& view) {
  if (node == nullptr) return absl::UnavailableError("nobody there");
  const auto found = node->Find(view.job);
  if (!found.ok()) return found.status();
  const auto versions = (*found)->shard().Versions(view);
  if (!versions.ok()) return versions.status();
  return versions->lowest;
}

// Each stream still reports its end once after it was cancelled, as in gRPC.
class SimulatedStreams : public worker::ParameterStreams {
 public:
  SimulatedStreams(const ParameterStreamsOptions& options, worker::StreamEvents* events)
      : at_worker_(std::make_shared<StreamsAtWorker>(options, events)) {}
  ~SimulatedStreams() override { at_worker_->CancelAll(); }

  std::shared_ptr<worker::PullStreamHandle> Pull(const worker::StreamPlace& place, Version from) override {
    return OpenPull(at_worker_, place, from);
  }
  std::shared_ptr<worker::PushStreamHandle> Push(const worker::StreamPlace& place) override {
    return OpenPush(at_worker_, place);
  }
  void AskVersions(const worker::StreamPlace& place) override;

 private:
  const std::shared_ptr<StreamsAtWorker> at_worker_;
};

void SimulatedStreams::AskVersions(const worker::StreamPlace& place) {
  const ParameterStreamsOptions& options = at_worker_->options;
  const auto answered = [at_worker = at_worker_, place](const absl::StatusOr<Version>& lowest) {
    if (at_worker->alive) at_worker->events->OnVersionsDone(place, lowest);
  };
  options.network->Call(
      options.self, place.address, worker::ParameterStreams::kVersionsTimeout,
      [services = options.services, view = place.view, answered](Process* process) -> Network::Answer {
        const absl::StatusOr<Version> lowest = LowestVersion(services->server(process), view);
        return [answered, lowest] { answered(lowest); };
      },
      [answered](const absl::Status& status) { answered(status); });
}

}  // namespace

std::unique_ptr<worker::ParameterStreams> NewParameterStreams(const ParameterStreamsOptions& options,
                                                              worker::StreamEvents* events) {
  return std::make_unique<SimulatedStreams>(options, events);
}

}  // namespace shoal::simulation
