// ParameterLink over gRPC: a Pull and a Push stream to each shard of the current view.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "common/base/executor.h"
#include "proto/parameter.pb.h"
#include "worker/parameter_link.h"

namespace shoal::worker {

struct GrpcLinkOptions {
  WireFormat wire = WIRE_FORMAT_F32;
  std::vector<uint64_t> block_elements;
  uint64_t backoff_seed = 0;
  ExecutorFactory executors;
};

// A RetryingLink whose streams run on gRPC's threads. `events` must outlive the link.
std::unique_ptr<ParameterLink> NewGrpcLink(const GrpcLinkOptions& options, ParameterLinkEvents* events);

}  // namespace shoal::worker
