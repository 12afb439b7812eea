#include "kernels/token_ids.h"

#include <algorithm>
#include <set>
#include <vector>

#include "catch2/catch.hpp"
#include "kernels/test_numbers.h"

namespace shoal::kernels {
namespace {

using Ids = std::vector<int32_t>;

ConstTensor View(const Ids& ids) { return ConstTensor(ids.data(), {static_cast<int64_t>(ids.size())}); }
Tensor View(Ids& ids) { return Tensor(ids.data(), {static_cast<int64_t>(ids.size())}); }

Ids Ngrams(const Ids& tokens, const Ids& offsets, int length, int64_t buckets = 1 << 30) {
  const auto device = MakeDevice();
  Ids ids(tokens.size());
  NgramIdsArgs args;
  args.tokens = View(tokens);
  args.offsets = View(offsets);
  args.length = length;
  args.buckets = buckets;
  args.ids = View(ids);
  NgramIds(*device, args);
  return ids;
}

TEST_CASE("equal n-grams have equal ids, and others in many buckets different ones") {
  //                      0  1  2  3  4   5  6  7
  const Ids tokens = {5, 6, 5, 6, 7, 6, 5, 6};
  const Ids offsets = {0, 5, 8};
  const Ids one = Ngrams(tokens, offsets, 1), two = Ngrams(tokens, offsets, 2),
            three = Ngrams(tokens, offsets, 3);
  CHECK(one[0] == one[2]);
  CHECK(one[1] == one[5]);
  CHECK(two[1] == two[3]);
  CHECK(two[1] == two[7]);
  CHECK(two[2] == two[6]);
  CHECK(three[3] != three[4]);
  // Each has as many different ones as there are n-grams, also across lengths.
  std::set<int32_t> all;
  for (const Ids& ids : {one, two, three}) all.insert(ids.begin(), ids.end());
  CHECK(std::set<int32_t>(one.begin(), one.end()).size() == 3);
  CHECK(std::set<int32_t>(two.begin(), two.end()).size() == 5);      // ^5 56 65 67 ^6
  CHECK(std::set<int32_t>(three.begin(), three.end()).size() == 7);  // ^^5 ^56 565 656 567 ^^6 ^65; 656 again
  CHECK(all.size() == 15);
}

TEST_CASE("an n-gram does not reach into the example before") {
  const Ids alone = Ngrams({6, 7}, {0, 2}, 3);
  const Ids after = Ngrams({1, 2, 3, 6, 7}, {0, 3, 5}, 3);
  CHECK(alone == Ids(after.begin() + 3, after.end()));
}

// Models that were trained keep their buckets.
TEST_CASE("buckets never change") {
  CHECK(Ngrams({5, 6, 7999}, {0, 3}, 1, 1 << 17) == Ids{101066, 3543, 128820});
  CHECK(Ngrams({5, 6, 7999}, {0, 3}, 2, 1 << 17) == Ids{46809, 99117, 55625});
  CHECK(Ngrams({5, 6, 7999}, {0, 3}, 3, 1000) == Ids{238, 516, 319});
}

TEST_CASE("ids fill their buckets evenly") {
  Ids tokens(40000);
  for (size_t n = 0; n < tokens.size(); ++n) tokens[n] = static_cast<int32_t>(n * n % 7919);
  std::vector<int> counts(16);
  for (int32_t id : Ngrams(tokens, {0, 40000}, 2, 16)) ++counts.at(id);
  CHECK(*std::min_element(counts.begin(), counts.end()) > 2200);
  CHECK(*std::max_element(counts.begin(), counts.end()) < 2800);
}

}  // namespace
}  // namespace shoal::kernels
