// A worker's streams to servers over the simulated network. As thin as their gRPC counterparts,
// worker/streams.h and server/parameter_service.h.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "proto/job.pb.h"
#include "tests/simulation/network.h"
#include "tests/simulation/services.h"
#include "worker/parameter_streams.h"

namespace shoal::simulation {

struct ParameterStreamsOptions {
  Process* self = nullptr;
  Network* network = nullptr;
  const Services* services = nullptr;
  WireFormat wire = WIRE_FORMAT_F32;     // of contributions
  std::vector<uint64_t> block_elements;  // by block
};

// For a worker::RetryingLink. All that the options name, and `events`, must outlive it.
std::unique_ptr<worker::ParameterStreams> NewParameterStreams(const ParameterStreamsOptions& options,
                                                              worker::StreamEvents* events);

}  // namespace shoal::simulation
