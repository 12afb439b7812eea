#include "model/tokenizer/pipeline/merge_table.h"

#include <vector>

#include "catch2/catch.hpp"
#include "common/base/philox.h"

namespace shoal::model::pipeline {
namespace {

struct Rule {
  uint32_t first, second, result;
};

// Applies the rules by their definition: the lowest rank, the leftmost pair, again and again.
std::vector<uint32_t> Merged(std::vector<uint32_t> ids, const std::vector<Rule>& rules) {
  for (size_t rank = 0; rank < rules.size();) {
    size_t at = 0;
    while (at + 1 < ids.size() && (ids[at] != rules[rank].first || ids[at + 1] != rules[rank].second)) ++at;
    if (at + 1 >= ids.size()) {
      ++rank;
      continue;
    }
    ids[at] = rules[rank].result;
    ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(at) + 1);
    rank = 0;
  }
  return ids;
}

// Rules over three letters; each makes a new symbol of two older ones.
std::vector<Rule> RandomRules(PhiloxStream* random) {
  std::vector<Rule> rules;
  for (uint32_t result = 3; result < 40; ++result) {
    rules.push_back({static_cast<uint32_t>(random->UniformInt(result)),
                     static_cast<uint32_t>(random->UniformInt(result)), result});
  }
  return rules;
}

TEST_CASE("Merges of short and long words follow the definition") {
  PhiloxStream random(DeriveKey(1, "merges"));
  for (int round = 0; round < 60; ++round) {
    const std::vector<Rule> rules = RandomRules(&random);
    MergeTable table;
    for (uint32_t rank = 0; rank < rules.size(); ++rank) {
      bool repeated = false;
      for (uint32_t i = 0; i < rank; ++i)
        repeated |= rules[i].first == rules[rank].first && rules[i].second == rules[rank].second;
      if (!repeated) table.Add(rules[rank].first, rules[rank].second, rank, rules[rank].result);
    }
    for (const size_t size : {0, 1, 2, 10, 24, 25, 60, 300}) {
      std::vector<uint32_t> ids;
      Symbols symbols;
      for (size_t i = 0; i < size; ++i) {
        ids.push_back(static_cast<uint32_t>(random.UniformInt(3)));
        symbols.push_back({ids.back(), 1});
      }
      table.Apply(&symbols);
      std::vector<uint32_t> result;
      size_t bytes = 0;
      for (const Symbol& symbol : symbols) {
        result.push_back(symbol.id);
        bytes += symbol.bytes;
      }
      CHECK(result == Merged(ids, rules));
      CHECK(bytes == size);
    }
  }
}

}  // namespace
}  // namespace shoal::model::pipeline
