#include "common/protocol/shard_map.h"

#include <set>

#include "catch2/catch.hpp"

namespace shoal {
namespace {

TEST_CASE("Each block lies in one shard, at its place among the shard's blocks") {
  constexpr uint64_t kBlocks = 23;
  for (uint32_t shards = 1; shards <= 25; ++shards) {
    const ShardMap map(shards);
    std::set<BlockId> seen;
    for (uint32_t shard = 0; shard < shards; ++shard) {
      const std::vector<BlockId> held = map.BlocksOf(shard, kBlocks);
      CHECK(map.CountOf(shard, kBlocks) == held.size());
      for (uint64_t place = 0; place < held.size(); ++place) {
        CHECK(map.ShardOf(held[place]) == shard);
        CHECK(map.Holds(shard, held[place]));
        CHECK_FALSE(map.Holds(shard + 1, held[place]));
        CHECK(map.PlaceOf(held[place]) == place);
        CHECK(map.BlockAt(shard, place) == held[place]);
        CHECK(seen.insert(held[place]).second);
      }
    }
    CHECK(seen.size() == kBlocks);
  }
}

}  // namespace
}  // namespace shoal
