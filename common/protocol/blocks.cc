#include "common/protocol/blocks.h"

#include <algorithm>

#include "common/base/status.h"

namespace shoal {
namespace {

// All blocks but a group's last are whole lines.
constexpr uint64_t kLineElements = 16;

void CutGroup(BlockSpec rest, uint64_t max_lines, std::vector<BlockSpec>* blocks) {
  const uint64_t lines = (rest.size + kLineElements - 1) / kLineElements;
  const uint64_t count = (lines + max_lines - 1) / max_lines;
  for (uint64_t i = 0; i < count; ++i) {
    // The first (lines % count) blocks have one line more.
    const uint64_t block_lines = lines / count + (i < lines % count ? 1 : 0);
    const uint64_t size = std::min(block_lines * kLineElements, rest.size);
    blocks->push_back({rest.offset, size, rest.group});
    rest.offset += size;
    rest.size -= size;
  }
}

}  // namespace

std::vector<BlockSpec> CutBlocks(absl::Span<const uint64_t> group_sizes, uint64_t max_elements) {
  SHOAL_CHECK(max_elements >= kLineElements);
  std::vector<BlockSpec> blocks;
  uint64_t offset = 0;
  for (size_t group = 0; group < group_sizes.size(); ++group) {
    CutGroup({offset, group_sizes[group], static_cast<uint32_t>(group)}, max_elements / kLineElements,
             &blocks);
    offset += group_sizes[group];
  }
  return blocks;
}

}  // namespace shoal
