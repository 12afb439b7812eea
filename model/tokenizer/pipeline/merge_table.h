// The merges of byte-pair encoding, and their application to a sequence of symbols.
#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/container/flat_hash_map.h"
#include "absl/container/inlined_vector.h"

namespace shoal::model::pipeline {

// A token in the making.
struct Symbol {
  uint32_t id = 0;
  size_t bytes = 0;  // of the piece
};
using Symbols = absl::InlinedVector<Symbol, 32>;

// Immutable after the last Add; then it may be used by any thread.
class MergeTable {
 public:
  // The symbols `first` and `second` become `result`, before merges of a higher rank. Replaces an earlier
  // merge of the same symbols.
  void Add(uint32_t first, uint32_t second, uint32_t rank, uint32_t result) {
    merges_[Key(first, second)] = {rank, result};
  }

  // Merges adjacent symbols, each time the pair of the lowest rank (the leftmost of these), until none can
  // be. O(n log n).
  void Apply(Symbols* symbols) const;

 private:
  static constexpr uint32_t kNone = 0xFFFFFFFF;

  struct Merge {
    uint32_t rank = kNone;
    uint32_t result = 0;
  };
  struct Candidate;
  class Chain;

  static uint64_t Key(uint32_t first, uint32_t second) { return uint64_t{first} << 32 | second; }

  Merge Find(const Symbol& first, const Symbol& second) const {
    const auto it = merges_.find(Key(first.id, second.id));
    return it == merges_.end() ? Merge{} : it->second;
  }
  void ApplyToFew(Symbols* symbols) const;

  absl::flat_hash_map<uint64_t, Merge> merges_;
};

}  // namespace shoal::model::pipeline
