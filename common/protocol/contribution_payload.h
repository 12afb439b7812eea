// The payload of a contribution: the pieces of the block's gradient that are not zero.
#pragma once

#include <memory>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "common/base/array_pool.h"
#include "common/protocol/payload.h"
#include "proto/parameter.pb.h"

namespace shoal {

// The payload of a contribution with these values. `header`, of which all else is set, gets pieces and
// crc32c. `owner` keeps `values` alive. May be called from any thread.
Payload EncodeContribution(std::shared_ptr<const void> owner, absl::Span<const float> values, ArrayPool* pool,
                           ContributionHeader* header);

// out = all elements. For tests: a server reads pieces where it needs them (server/block_sum.h). Errors:
// INVALID_ARGUMENT when header, payload and out.size() do not fit together.
absl::Status DecodeContribution(const ContributionHeader& header, const Payload& payload,
                                absl::Span<float> out);

}  // namespace shoal
