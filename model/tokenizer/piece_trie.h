// Finds the pieces of a vocabulary that a text starts with.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace shoal::model {

// Immutable; may be used by any thread.
class PieceTrie {
 public:
  struct Entry {
    absl::string_view piece;  // not empty; need not outlive the constructor
    uint32_t id = 0;
  };

  // `entries` may be in any order; of equal pieces one is kept.
  explicit PieceTrie(std::vector<Entry> entries);

  // Calls visit(length in bytes, id) for each piece that `text` starts with, the shortest first.
  template <typename Visit>
  void ForEachPrefix(absl::string_view text, Visit&& visit) const {
    uint32_t node = 0;
    for (size_t i = 0; i < text.size(); ++i) {
      node = Child(node, static_cast<uint8_t>(text[i]));
      if (node == kNone) return;
      if (nodes_[node].id != kNone) visit(i + 1, nodes_[node].id);
    }
  }

 private:
  static constexpr uint32_t kNone = 0xFFFFFFFF;

  // The children of a node are adjacent, in the order of their bytes.
  struct Node {
    uint32_t first_child = 0;
    uint16_t num_children = 0;
    uint8_t byte = 0;  // on the edge from the parent
    uint32_t id = kNone;
  };
  // Entries [begin, end) share the first `depth` bytes, which lead to `node`.
  struct Range {
    uint32_t node;
    size_t begin;
    size_t end;
    size_t depth;
  };

  void AddChildren(absl::Span<const Entry> entries, const Range& range, std::vector<Range>* todo);

  uint32_t Child(uint32_t node, uint8_t byte) const {
    if (node == 0) return root_[byte];
    const Node& parent = nodes_[node];
    for (uint32_t c = parent.first_child, end = c + parent.num_children; c < end; ++c) {
      if (nodes_[c].byte == byte) return c;
    }
    return kNone;
  }

  std::vector<Node> nodes_;
  std::vector<uint32_t> root_;  // [256] children of the root by byte
};

}  // namespace shoal::model
