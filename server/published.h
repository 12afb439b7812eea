// What a server hands out: versions of blocks to workers, snapshots to the disk.
#pragma once

#include <cstdint>
#include <vector>

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
};

// One block of a snapshot. Immutable; θ is shared with the published version.
struct BlockSnapshot {
  BlockId block;
  uint64_t size = 0;  // elements
  FloatArray theta;
  std::vector<FloatArray> moments;  // copies, in the order of ShardConfig::moment_names
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
    bytes += block.size * sizeof(float) * (1 + block.moments.size());
  }
  return bytes;
}

}  // namespace shoal::server
