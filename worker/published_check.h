// What a worker checks in a published block before using it.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/protocol/block_message.h"
#include "common/protocol/view_key.h"
#include "grpcpp/support/byte_buffer.h"

namespace shoal::worker {

// `view`: the requested one; `block_elements`: sizes of the job's blocks. Errors: INVALID_ARGUMENT for a
// block that is not one of the job's or has another size; DATA_LOSS when header or payload is damaged;
// FAILED_PRECONDITION when it belongs to another job, training or view. Thread-safe.
absl::Status CheckPublished(const PublishedMessage& message, const ViewKey& view,
                            const std::vector<uint64_t>& block_elements);

// A block as it arrives on a Pull stream. Errors: DATA_LOSS, which ends the stream, whatever is wrong with
// it.
absl::StatusOr<PublishedMessage> ReadPublished(const grpc::ByteBuffer& buffer, const ViewKey& view,
                                               const std::vector<uint64_t>& block_elements);

}  // namespace shoal::worker
