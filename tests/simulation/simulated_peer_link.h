// What servers ask each other, over the simulated network. As thin as its gRPC counterparts,
// server/grpc_peer_link.h and server/parameter_service.h.
#pragma once

#include <memory>

#include "server/peer_link.h"
#include "tests/simulation/network.h"
#include "tests/simulation/services.h"

namespace shoal::simulation {

// `network` and `services` must outlive it.
std::unique_ptr<server::PeerLink> NewPeerLink(Process* self, Network* network, const Services* services);

}  // namespace shoal::simulation
