// What the shells call the network through, over the simulated one. As thin as their counterparts over gRPC
// (common/rpc/grpc_scheduler_link.h, server/grpc_peer_link.h, worker/streams.h, server/parameter_service.h).
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

// What listens in a process; null where there is none. A process that is dead has neither.
struct Services {
  std::function<scheduler::SchedulerNode*(const Process*)> scheduler;
  std::function<server::ServerNode*(const Process*)> server;
  // The oracle of a job; null: nobody watches it.
  std::function<Oracle*(JobId)> oracle;
};

// The address of the scheduler.
inline constexpr char kScheduler[] = "scheduler:1";

// To the scheduler. `network` and `services` must outlive it.
std::unique_ptr<SchedulerLink> NewSchedulerLink(Process* self, Network* network, const Services* services);

// To other servers.
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
