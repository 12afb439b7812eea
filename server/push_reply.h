// What a server tells a worker whose contribution it refuses.
#pragma once

#include <optional>

#include "absl/status/status.h"
#include "proto/parameter.pb.h"

namespace shoal::server {

// The reply to the contribution with this header. `status`: what became of it. nullopt: nothing is to be
// said. Either it was accepted, or its stream ends with `status`: only a contribution that arrived damaged
// leaves its stream open.
std::optional<PushReply> ReplyTo(const ContributionHeader& header, const absl::Status& status);

}  // namespace shoal::server
