#include "common/protocol/blocks.h"

#include <algorithm>

#include "catch2/catch.hpp"

namespace shoal {
namespace {

TEST_CASE("Blocks cover all elements in order and never span groups") {
  const std::vector<uint64_t> groups = {1000, 0, 1, 262144, 262145, 5000000, 17};
  std::vector<uint64_t> in_group(groups.size(), 0);
  uint64_t next = 0;
  for (const BlockSpec& block : CutBlocks(groups)) {
    CHECK(block.offset == next);
    CHECK(block.size >= 1);
    CHECK(block.size <= kMaxBlockElements);
    next += block.size;
    in_group[block.group] += block.size;
  }
  CHECK(in_group == groups);
}

TEST_CASE("A group that fits is one block, the next element makes two") {
  CHECK(CutBlocks({262144}) == std::vector<BlockSpec>{{0, 262144, 0}});
  // 16385 lines of 16 elements: 8193 and 8192, the last of them with one element.
  CHECK(CutBlocks({262145}) == std::vector<BlockSpec>{{0, 131088, 0}, {131088, 131057, 0}});
}

TEST_CASE(
    "Within a group all sizes but the last are whole lines of 16 elements, and differ by at most a line") {
  for (uint64_t size = 1; size <= 700; ++size) {
    const std::vector<BlockSpec> blocks = CutBlocks({size}, 100);  // 96 of the 100 are whole lines
    CHECK(blocks.size() == (size + 95) / 96);
    uint64_t smallest = 100, largest = 0;
    for (size_t i = 0; i + 1 < blocks.size(); ++i) {
      CHECK(blocks[i].size % 16 == 0);
      smallest = std::min(smallest, blocks[i].size);
      largest = std::max(largest, blocks[i].size);
    }
    if (blocks.size() > 1) {
      CHECK(largest - smallest <= 16);
      CHECK(blocks.back().size <= largest);
      CHECK(blocks.back().size + 31 >= largest);
    }
  }
}

TEST_CASE("No groups, no blocks") {
  CHECK(CutBlocks({}).empty());
  CHECK(CutBlocks({0, 0}).empty());
}

}  // namespace
}  // namespace shoal
