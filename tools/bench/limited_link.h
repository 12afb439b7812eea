// A network card of limited speed in front of a worker's link, for benchmarks on one machine.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "common/base/executor.h"
#include "proto/parameter.pb.h"
#include "worker/grpc_link.h"
#include "worker/parameter_link.h"

namespace shoal::bench {

struct LimitedLinkOptions {
  double bits_per_second = 0;  // each way, over all shards together; positive
  WireFormat wire = WIRE_FORMAT_F32;
  std::vector<uint64_t> block_elements;
  ExecutorFactory executors;
};
using LinkFactory = std::function<std::unique_ptr<worker::ParameterLink>(worker::ParameterLinkEvents*)>;

// The link that `make` makes for events that pass through the card. Blocks cross it one after another in each
// direction, those to push in order of urgency (older rounds first, then lower blocks), and count by their
// encoded size. A published block that is still crossing is refused, like one whose buffer is in use, so that
// its stream is not read until then. `events` must outlive the link.
std::unique_ptr<worker::ParameterLink> NewLimitedLink(LimitedLinkOptions options, const LinkFactory& make,
                                                      worker::ParameterLinkEvents* events);

// The same over gRPC. 0 bits per second: no limit.
std::unique_ptr<worker::ParameterLink> NewLimitedGrpcLink(double bits_per_second,
                                                          const worker::GrpcLinkOptions& options,
                                                          worker::ParameterLinkEvents* events);

}  // namespace shoal::bench
