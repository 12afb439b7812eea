#include "common/base/units.h"

#include <string>

#include "catch2/catch.hpp"

namespace shoal {
namespace {

using Catch::Matchers::Contains;

std::string DurationError(absl::string_view text) {
  return std::string(ParseDuration(text).status().message());
}
std::string BytesError(absl::string_view text) { return std::string(ParseBytes(text).status().message()); }

TEST_CASE("Durations are read with their unit") {
  CHECK(*ParseDuration("200ms") == absl::Milliseconds(200));
  CHECK(*ParseDuration("3s") == absl::Seconds(3));
  CHECK(*ParseDuration("10 min") == absl::Minutes(10));
  CHECK(*ParseDuration("1.5h") == absl::Minutes(90));
  CHECK(*ParseDuration("0.1s") == absl::Milliseconds(100));
  CHECK(*ParseDuration("2d") == absl::Hours(48));
  CHECK(*ParseDuration("7us") == absl::Microseconds(7));
  CHECK(*ParseDuration("7ns") == absl::Nanoseconds(7));
  CHECK(*ParseDuration("0") == absl::ZeroDuration());
}

TEST_CASE("What is not a duration is refused with what was expected") {
  for (const char* text : {"", "s", "3", "-1s", "3 s s", "1e3s", "1.s.", "1..5s", ".s", "3sec", "1s2", "inf",
                           "nan", "0.1ns", "400000d", "99999999999999999999s", "1.0000000000000000000s"}) {
    INFO(text);
    CHECK(ParseDuration(text).status().code() == absl::StatusCode::kInvalidArgument);
    CHECK_THAT(DurationError(text), Contains("expected a duration"));
  }
  CHECK_THAT(DurationError("3m"), Contains("units are ns, us, ms, s, min, h, d"));
  CHECK_THAT(DurationError("3 mins"), Contains("did you mean 'min'?"));
}

TEST_CASE("Sizes are read in powers of 1000 and 1024") {
  CHECK(*ParseBytes("512B") == 512);
  CHECK(*ParseBytes("64KiB") == 65536);
  CHECK(*ParseBytes("8GiB") == uint64_t{8} << 30);
  CHECK(*ParseBytes("1.5 MiB") == 1572864);
  CHECK(*ParseBytes("10MB") == 10000000);
  CHECK(*ParseBytes("2TiB") == uint64_t{2} << 40);
  CHECK(*ParseBytes("0") == 0);
}

TEST_CASE("What is not a size is refused with what was expected") {
  for (const char* text : {"", "GiB", "12", "-1B", "0.5B", "0.3KiB", "99999999TiB", "1 GiB extra"}) {
    INFO(text);
    CHECK(ParseBytes(text).status().code() == absl::StatusCode::kInvalidArgument);
    CHECK_THAT(BytesError(text), Contains("expected a size"));
  }
  CHECK_THAT(BytesError("8Gib"), Contains("did you mean 'GiB'?"));
}

TEST_CASE("Printed values read back the same") {
  CHECK(DurationText(absl::Seconds(90)) == "90s");
  CHECK(DurationText(absl::Minutes(10)) == "10min");
  CHECK(DurationText(absl::ZeroDuration()) == "0s");
  CHECK(DurationText(absl::Milliseconds(1500)) == "1500ms");
  CHECK(DurationText(absl::InfiniteDuration()) == "inf");
  CHECK(FormatBytes(uint64_t{8} << 30) == "8GiB");
  CHECK(FormatBytes(1536 << 10) == "1536KiB");
  CHECK(FormatBytes(1000) == "1000B");
  CHECK(FormatBytes(0) == "0B");
  for (uint64_t value = 1; value < uint64_t{1} << 62; value = value * 3 + 1) {
    CHECK(*ParseBytes(FormatBytes(value)) == value);
    CHECK(*ParseDuration(DurationText(absl::Nanoseconds(value))) == absl::Nanoseconds(value));
  }
}

}  // namespace
}  // namespace shoal
