#include "tools/bench/json_line.h"

#include <limits>

#include "catch2/catch.hpp"

namespace shoal::bench {
namespace {

TEST_CASE("a line is one JSON object with its members in order") {
  CHECK(JsonLine("a").Integer("n", -3).Number("x", 1234.567).ToString() ==
        R"({"benchmark":"a","n":-3,"x":1235})");
  CHECK(JsonLine("a").Number("x", 1234567.8).Number("y", -0.00012345).ToString() ==
        R"({"benchmark":"a","x":1234568,"y":-0.0001234})");
  CHECK(JsonLine("\"\\\n").ToString() == R"({"benchmark":"\"\\\u000a"})");
  CHECK(JsonLine("a").Number("x", std::numeric_limits<double>::infinity()).ToString() ==
        R"({"benchmark":"a","x":null})");
}

}  // namespace
}  // namespace shoal::bench
