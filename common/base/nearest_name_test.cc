#include "common/base/nearest_name.h"

#include <string>
#include <vector>

#include "catch2/catch.hpp"

namespace shoal {
namespace {

const std::vector<std::string> kNames = {"split", "slots", "slot_batch", "seed", "text-classification"};

TEST_CASE("A name with one edit per three letters is recognised") {
  CHECK(NearestName("splt", kNames) == "split");
  CHECK(NearestName("slpit", kNames) == "split");
  CHECK(NearestName("slotss", kNames) == "slots");
  CHECK(NearestName("text_clasification", kNames) == "text-classification");
  CHECK(NearestName("SEED", kNames) == "seed");
}

TEST_CASE("A name unlike all others has no suggestion") {
  CHECK(NearestName("model", kNames) == "");
  CHECK(NearestName("", kNames) == "");
  CHECK(NearestName("x", {"y"}) == "");
  CHECK(NearestName(std::string(100000, 's'), kNames) == "");
  CHECK(NearestName("seed", {}) == "");
}

TEST_CASE("A suggestion is a clause to append") {
  CHECK(DidYouMean("sede", kNames) == "; did you mean 'seed'?");
  CHECK(DidYouMean("model", kNames) == "");
}

}  // namespace
}  // namespace shoal
