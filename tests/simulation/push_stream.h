// A stream of contributions from a worker to a server: both ends.
#pragma once

#include <memory>

#include "tests/simulation/stream_ends.h"
#include "worker/parameter_streams.h"

namespace shoal::simulation {

// Opens the stream. Its events go to at_worker->events.
std::shared_ptr<worker::PushStreamHandle> OpenPush(const std::shared_ptr<StreamsAtWorker>& at_worker,
                                                   const worker::StreamPlace& place);

}  // namespace shoal::simulation
