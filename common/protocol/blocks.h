// How flat θ is cut into blocks, the unit of push, publish, replicate and snapshot.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace shoal {

// 1 MiB of float32.
inline constexpr uint64_t kMaxBlockElements = 262144;

// The elements [offset, offset + size) of flat θ.
struct BlockSpec {
  uint64_t offset = 0;  // elements
  uint64_t size = 0;    // elements, at least 1
  uint32_t group = 0;   // index of the parameter group that holds the whole block

  friend bool operator==(const BlockSpec& a, const BlockSpec& b) {
    return a.offset == b.offset && a.size == b.size && a.group == b.group;
  }
};

// Cuts contiguous groups (`group_sizes` in elements; 0 gives no block) into blocks of at most `max_elements`
// (at least 16). No block spans two groups. A group gets as few blocks as possible, of sizes as equal as
// possible when all but the group's last are multiples of 16 elements (one cache line of float32).
//
// Pure: all nodes cut the same way, so a BlockId means the same to them.
std::vector<BlockSpec> CutBlocks(absl::Span<const uint64_t> group_sizes,
                                 uint64_t max_elements = kMaxBlockElements);

}  // namespace shoal
