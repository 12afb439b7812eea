// A stream of published blocks from a server to a worker: both ends.
#pragma once

#include <memory>

#include "common/base/types.h"
#include "tests/simulation/stream_ends.h"
#include "worker/parameter_streams.h"

namespace shoal::simulation {

// Opens the stream, which begins with version `from` of each block. Its events go to at_worker->events.
std::shared_ptr<worker::PullStreamHandle> OpenPull(const std::shared_ptr<StreamsAtWorker>& at_worker,
                                                   const worker::StreamPlace& place, Version from);

}  // namespace shoal::simulation
