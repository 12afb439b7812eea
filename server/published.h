// What a server hands out: versions of blocks to workers, snapshots to the disk.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "common/base/array_pool.h"
#include "common/base/types.h"
#include "common/protocol/payload.h"

namespace shoal::server {

// One version of one block as it goes to workers. Immutable; copies share memory.
struct PublishedVersion {
  Version version;
  WireFormat wire = WIRE_FORMAT_F32;
  uint32_t payload_crc32c = 0;  // extended over each message's header: common/protocol/block_checksum.h
  Payload payload;              // for f32 the parameters themselves, otherwise an encoded copy
  bool with_average = false;    // the payload goes on with the block's average, which is what is evaluated
};

// Something that a block keeps beside θ: a moment, its average. Copies share memory.
struct StateArray {
  FloatArray values;
  uint64_t size = 0;  // elements

  absl::Span<float> span() const { return {values.get(), size}; }
};

// One block of a snapshot. Immutable; θ is shared with the published version.
struct BlockSnapshot {
  BlockId block;
  uint64_t size = 0;  // elements
  FloatArray theta;
  std::vector<StateArray> arrays;  // copies, in the order of ShardConfig::array_names
};

// A shard's state at one version: all of its blocks.
struct ShardSnapshot {
  RestoreId restore_id;
  Version version;
  uint32_t shard = 0;
  uint32_t shards = 1;
  std::vector<BlockSnapshot> blocks;  // ascending
};

// Memory that a snapshot keeps alive.
inline uint64_t SizeBytes(const ShardSnapshot& snapshot) {
  uint64_t bytes = 0;
  for (const BlockSnapshot& block : snapshot.blocks) {
    bytes += block.size * sizeof(float);
    for (const StateArray& array : block.arrays) bytes += array.size * sizeof(float);
  }
  return bytes;
}

}  // namespace shoal::server
