#include "tests/simulation/simulated_peer_link.h"

#include <string>

namespace shoal::simulation {
namespace {

absl::StatusOr<Norms> Ask(server::ServerJobs* node, const NormsRequest& request, Oracle* oracle) {
  if (node == nullptr) return absl::UnavailableError("nobody there");
  const auto job = node->Find(JobId(request.job()));
  if (!job.ok()) return job.status();
  server::ShardCore& shard = (*job)->shard();
  const auto norms = shard.GetNorms(request);
  if (norms.ok() && norms->squared_norms_size() > 0 && oracle != nullptr)
    oracle->OnNorms(shard.serving(), *shard.Blocks(shard.serving()), *norms);
  return norms;
}

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
          Oracle* const oracle = services->Watching(JobId(request.job()), process->cluster(), cluster);
          absl::StatusOr<Norms> answer = Ask(services->server(process), request, oracle);
          if (answer.ok() && answer->squared_norms_size() > 0) {
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

}  // namespace

std::unique_ptr<server::PeerLink> NewPeerLink(Process* self, Network* network, const Services* services) {
  return std::make_unique<SimulatedPeerLink>(self, network, services);
}

}  // namespace shoal::simulation
