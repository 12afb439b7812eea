// Tokens and their ids.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace shoal::model::pipeline {

// Ids of a file are below this: the table of texts by id is dense.
inline constexpr uint32_t kMaxTokenId = 1 << 24;

// Immutable after it is made; may be used by any thread. Not copied, since its views point into itself.
class Vocabulary {
 public:
  struct Entry {
    std::string text;
    uint32_t id = 0;
  };

  // Of entries with the same text the last counts, though every id keeps its text.
  // Errors: INVALID_ARGUMENT when an id is not below kMaxTokenId or is that of two texts.
  static absl::StatusOr<Vocabulary> Make(std::vector<Entry> entries);

  Vocabulary(Vocabulary&&) = default;
  Vocabulary& operator=(Vocabulary&&) = default;

  std::optional<uint32_t> Find(absl::string_view text) const {
    const auto it = ids_.find(text);
    if (it == ids_.end()) return std::nullopt;
    return it->second;
  }
  // The text of `id`, or nullptr when no token has this id.
  const std::string* Text(uint32_t id) const {
    return id < slots_.size() && slots_[id] != kNone ? &entries_[slots_[id]].text : nullptr;
  }

  // In the order of Make.
  absl::Span<const Entry> entries() const { return entries_; }
  // The number of distinct texts.
  size_t size() const { return ids_.size(); }
  // One more than the largest id.
  uint32_t end_id() const { return static_cast<uint32_t>(slots_.size()); }

 private:
  static constexpr uint32_t kNone = 0xFFFFFFFF;

  Vocabulary() = default;

  std::vector<Entry> entries_;
  std::vector<uint32_t> slots_;  // index into entries_ by id
  absl::flat_hash_map<absl::string_view, uint32_t> ids_;
};

}  // namespace shoal::model::pipeline
