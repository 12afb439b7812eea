// Which block lies in which shard. Use this class instead of repeating its rule.
#pragma once

#include <cstdint>
#include <vector>

#include "common/base/types.h"

namespace shoal {

// Shard i of n holds the blocks b with b mod n = i, ascending, so that all servers send the first layers at
// once. A view names the node of each shard (View.shards); n changes only with a restore point. Immutable;
// any thread.
class ShardMap {
 public:
  // `shards`: at least 1.
  explicit ShardMap(uint32_t shards) : shards_(shards) {}

  uint32_t shards() const { return shards_; }
  uint32_t ShardOf(BlockId block) const { return static_cast<uint32_t>(block.value() % shards_); }
  bool Holds(uint32_t shard, BlockId block) const { return ShardOf(block) == shard; }
  // The block's index among the blocks of its shard.
  uint64_t PlaceOf(BlockId block) const { return block.value() / shards_; }
  // The inverse of ShardOf and PlaceOf.
  BlockId BlockAt(uint32_t shard, uint64_t place) const { return BlockId(shard + shards_ * place); }
  // How many of a job's `blocks` blocks the shard has.
  uint64_t CountOf(uint32_t shard, uint64_t blocks) const { return (blocks + shards_ - 1 - shard) / shards_; }
  // The shard's blocks, for a job that has `blocks` blocks; ascending.
  std::vector<BlockId> BlocksOf(uint32_t shard, uint64_t blocks) const {
    std::vector<BlockId> held;
    for (uint64_t block = shard; block < blocks; block += shards_) held.push_back(BlockId(block));
    return held;
  }

 private:
  uint32_t shards_;
};

}  // namespace shoal
