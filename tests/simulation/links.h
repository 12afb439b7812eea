// The links through which the shells use the network, over the simulated network. As thin as their gRPC
// counterparts (common/rpc/grpc_scheduler_link.h, server/grpc_peer_link.h, worker/streams.h,
// server/parameter_service.h).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/rpc/scheduler_link.h"
#include "scheduler/scheduler_node.h"
#include "server/peer_link.h"
#include "server/server_node.h"
#include "tests/simulation/network.h"
#include "tests/simulation/oracle.h"
#include "worker/parameter_streams.h"

namespace shoal::simulation {

// The services that a process runs; null where it runs none. A dead process has none.
struct Services {
  std::function<scheduler::SchedulerNode*(const Process*)> scheduler;
  std::function<server::ServerNode*(const Process*)> server;
  // The oracle of a job for a process of that cluster; null: none watches it. Nodes that stay in a cluster
  // that is gone may still run another job of the same number.
  std::function<Oracle*(JobId, const std::string& cluster)> oracle;
  // Of what passes between the two.
  Oracle* Watching(JobId job, const std::string& to, const std::string& from) const {
    Oracle* const of_receiver = oracle(job, to);
    return of_receiver != nullptr ? of_receiver : oracle(job, from);
  }
};

// The address of the scheduler.
inline constexpr char kScheduler[] = "scheduler:1";

// A link to the scheduler. `network` and `services` must outlive it.
std::unique_ptr<SchedulerLink> NewSchedulerLink(Process* self, Network* network, const Services* services);

// A link to other servers.
std::unique_ptr<server::PeerLink> NewPeerLink(Process* self, Network* network, const Services* services);

// Streams to servers, for a worker::RetryingLink.
struct ParameterStreamsOptions {
  Process* self = nullptr;
  Network* network = nullptr;
  const Services* services = nullptr;
  WireFormat wire = WIRE_FORMAT_F32;
  std::vector<uint64_t> block_elements;
};
std::unique_ptr<worker::ParameterStreams> NewParameterStreams(const ParameterStreamsOptions& options,
                                                              worker::StreamEvents* events);

}  // namespace shoal::simulation
