#include "common/protocol/same_message.h"

#include <cmath>

#include "catch2/catch.hpp"
#include "proto/parameter.pb.h"

namespace shoal {
namespace {

TEST_CASE("Messages are equal if all fields except an ignored one are, and NaN equals NaN") {
  ContributionStats a, b;
  a.set_loss(std::nan(""));
  b.set_loss(std::nan(""));
  CHECK(SameMessage(a, b));
  b.set_weight(3);
  CHECK_FALSE(SameMessage(a, b));
  CHECK(SameMessage(a, b, ContributionStats::kWeightFieldNumber));
}

TEST_CASE("Messages that differ in a field that one of them does not know are different") {
  ContributionStats a, b;
  REQUIRE(b.ParseFromString("\xf8\x7f\x01"));  // field 2047
  CHECK_FALSE(SameMessage(a, b));
  CHECK(SameMessage(b, b));
}

}  // namespace
}  // namespace shoal
