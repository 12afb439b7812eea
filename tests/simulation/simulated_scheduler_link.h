// A node's session with the scheduler over the simulated network: both ends. As thin as its gRPC
// counterparts, common/rpc/grpc_scheduler_link.h and scheduler/scheduler_service.h.
#pragma once

#include <memory>

#include "common/rpc/scheduler_link.h"
#include "tests/simulation/network.h"
#include "tests/simulation/services.h"

namespace shoal::simulation {

// `network` and `services` must outlive it.
std::unique_ptr<SchedulerLink> NewSchedulerLink(Process* self, Network* network, const Services* services);

}  // namespace shoal::simulation
