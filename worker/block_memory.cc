#include "worker/block_memory.h"

#include "absl/types/span.h"
#include "common/protocol/payload.h"

namespace shoal::worker {

void StoreBlock(const PublishedMessage& message, uint64_t elements, const BlockMemory& memory) {
  PayloadReader reader(message.header.wire(), message.payload);
  reader.Decode(absl::MakeSpan(memory.theta, elements));
  if (message.header.with_average() && memory.average != nullptr)
    reader.Decode(absl::MakeSpan(memory.average, elements));
}

}  // namespace shoal::worker
