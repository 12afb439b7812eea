#include "model/tokenizer/piece_trie.h"

#include <utility>
#include <vector>

#include "catch2/catch.hpp"

namespace shoal::model {
namespace {

using Found = std::vector<std::pair<size_t, uint32_t>>;

Found Prefixes(const PieceTrie& trie, absl::string_view text) {
  Found found;
  trie.ForEachPrefix(text, [&](size_t length, uint32_t id) { found.emplace_back(length, id); });
  return found;
}

TEST_CASE("All pieces that a text starts with are found, the shortest first") {
  const PieceTrie trie({{"in", 0}, {"a", 1}, {"inter", 2}, {"i", 3}, {"int", 4}, {"\xFF", 5}});
  CHECK(Prefixes(trie, "internal") == Found{{1, 3}, {2, 0}, {3, 4}, {5, 2}});
  CHECK(Prefixes(trie, "in") == Found{{1, 3}, {2, 0}});
  CHECK(Prefixes(trie, "\xFFx") == Found{{1, 5}});
  CHECK(Prefixes(trie, "nin").empty());
  CHECK(Prefixes(trie, "").empty());
}

TEST_CASE("An empty trie finds nothing") { CHECK(Prefixes(PieceTrie({}), "a").empty()); }

}  // namespace
}  // namespace shoal::model
