// What a worker checks of a published block before it uses it.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "common/block_message.h"

namespace shoal::worker {

// `block_elements`: of the job's blocks. Errors: INVALID_ARGUMENT for a block that is none of the job's or
// has another size; DATA_LOSS when header or payload is damaged. Thread-safe.
absl::Status CheckPublished(const PublishedMessage& message, const std::vector<uint64_t>& block_elements);

}  // namespace shoal::worker
