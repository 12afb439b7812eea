#include "model/tokenizer/piece_trie.h"

#include <algorithm>

namespace shoal::model {

PieceTrie::PieceTrie(std::vector<Entry> entries) : nodes_(1), root_(256, kNone) {
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.piece < b.piece; });
  std::vector<Range> todo = {{0, 0, entries.size(), 0}};
  while (!todo.empty()) {
    const Range range = todo.back();
    todo.pop_back();
    AddChildren(entries, range, &todo);
  }
  for (uint32_t c = nodes_[0].first_child; c < nodes_[0].first_child + nodes_[0].num_children; ++c) {
    root_[nodes_[c].byte] = c;
  }
}

void PieceTrie::AddChildren(absl::Span<const Entry> entries, const Range& range, std::vector<Range>* todo) {
  size_t begin = range.begin;
  for (; begin < range.end && entries[begin].piece.size() == range.depth; ++begin) {
    nodes_[range.node].id = entries[begin].id;
  }
  nodes_[range.node].first_child = static_cast<uint32_t>(nodes_.size());
  while (begin < range.end) {
    const char byte = entries[begin].piece[range.depth];
    size_t end = begin;
    while (end < range.end && entries[end].piece[range.depth] == byte) ++end;
    todo->push_back({static_cast<uint32_t>(nodes_.size()), begin, end, range.depth + 1});
    nodes_.push_back({0, 0, static_cast<uint8_t>(byte), kNone});
    ++nodes_[range.node].num_children;
    begin = end;
  }
}

}  // namespace shoal::model
