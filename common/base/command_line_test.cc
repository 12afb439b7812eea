#include "common/base/command_line.h"

#include <limits>
#include <new>
#include <vector>

#include "catch2/catch.hpp"

namespace shoal {
namespace {

using Catch::Matchers::Contains;

constexpr int64_t kAny = std::numeric_limits<int64_t>::max();

TEST_CASE("A number is decimal, whole and in its range; anything else is refused with what was expected",
          "[command line]") {
  for (const char* good : {"1", "7", "010", "9223372036854775807"}) {
    INFO(good);
    CHECK(NumberProblem(good, 1, kAny).empty());
  }
  for (const char* bad : {"", "-1", "0", "1.5", "1e3", "0x10", " 1", "+1", "one", "9223372036854775808",
                          "18446744073709551615", "99999999999999999999"}) {
    INFO(bad);
    CHECK_THAT(NumberProblem(bad, 1, kAny), Contains("whole number of at least 1, got '"));
  }
  CHECK(NumberProblem("256", 1, 256).empty());
  CHECK(NumberProblem("257", 1, 256) == "expected a whole number from 1 to 256, got '257'");
}

int Parse(CLI::App* app, std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "program");
  return ParseCommandLine(app, static_cast<int>(arguments.size()), const_cast<char**>(arguments.data()));
}

TEST_CASE("A number option keeps its default, takes its value, and makes a wrong one a usage error",
          "[command line]") {
  const auto parse = [](std::vector<const char*> arguments, uint64_t* value) {
    CLI::App app("A test", "program");
    AddNumberOption(&app, "--number", value, 1, kAny, "A number");
    return Parse(&app, std::move(arguments));
  };
  uint64_t value = 5;
  CHECK(parse({}, &value) == -1);
  CHECK(value == 5);
  CHECK(parse({"--number", "010"}, &value) == -1);
  CHECK(value == 10);
  for (const char* bad : {"-1", "", "99999999999999999999"}) CHECK(parse({"--number", bad}, &value) == 2);
  CHECK(parse({"--nubmer", "1"}, &value) == 2);
  CHECK(parse({"--help"}, &value) == 0);
  CHECK(value == 10);
}

TEST_CASE("A program that throws ends with exit code 1 rather than a signal") {
  CHECK(RunMain(
            "program", [](int argc, char**) { return argc; }, 5, nullptr) == 5);
  CHECK(RunMain(
            "program", [](int, char**) -> int { throw std::bad_alloc(); }, 0, nullptr) == 1);
  CHECK(RunMain(
            "program", [](int, char**) -> int { throw 7; }, 0, nullptr) == 1);
}

}  // namespace
}  // namespace shoal
