// SentencePiece's precompiled map of characters: a double-array trie (Darts) of the strings to replace, and
// the replacements.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace shoal::model::pipeline {

// Immutable; may be used by any thread.
class Charsmap {
 public:
  struct Match {
    size_t bytes = 0;               // of the text that is replaced
    absl::string_view replacement;  // valid as long as the map
  };

  // Maps nothing.
  Charsmap() = default;

  // `bytes`: the size of the trie in bytes (32 bits), its units of 32 bits, and the replacements, each ended
  // by a zero; all little-endian. Errors: INVALID_ARGUMENT when they are not that.
  static absl::StatusOr<Charsmap> Parse(absl::string_view bytes);

  // The longest, or shortest, string of the map that `text` starts with.
  std::optional<Match> FindLongest(absl::string_view text) const;
  std::optional<Match> FindShortest(absl::string_view text) const;

  // The length of the longest replacement.
  size_t max_replacement_bytes() const { return max_replacement_bytes_; }

 private:
  // Calls visit(match) for each string that `text` starts with, the shortest first, until it returns false.
  template <typename Visit>
  void ForEachPrefix(absl::string_view text, Visit&& visit) const;
  std::optional<absl::string_view> Replacement(size_t begin) const;

  std::vector<uint32_t> units_;
  std::string replacements_;
  size_t max_replacement_bytes_ = 0;
};

}  // namespace shoal::model::pipeline
