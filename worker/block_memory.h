// Where a published block goes in a worker's memory.
#pragma once

#include <cstdint>
#include <functional>

#include "common/protocol/block_message.h"

namespace shoal::worker {

struct BlockMemory {
  float* theta = nullptr;
  float* average = nullptr;  // null: the job evaluates θ itself
};

// Writes a block's elements to its argument.
using BlockStore = std::function<void(const BlockMemory&)>;

// Decodes a message that CheckPublished has accepted, of a block of `elements`.
void StoreBlock(const PublishedMessage& message, uint64_t elements, const BlockMemory& memory);

}  // namespace shoal::worker
