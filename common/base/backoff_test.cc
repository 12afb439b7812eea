#include "common/base/backoff.h"

#include "catch2/catch.hpp"

namespace shoal {
namespace {

TEST_CASE("Delays double up to the maximum, and start over after a success") {
  BackoffOptions options;
  options.first = absl::Milliseconds(100);
  options.max = absl::Milliseconds(500);
  options.jitter = 0;
  Backoff backoff(1, options);
  CHECK(backoff.NextDelay() == absl::Milliseconds(100));
  CHECK(backoff.NextDelay() == absl::Milliseconds(200));
  CHECK(backoff.NextDelay() == absl::Milliseconds(400));
  CHECK(backoff.NextDelay() == absl::Milliseconds(500));
  CHECK(backoff.NextDelay() == absl::Milliseconds(500));
  backoff.Reset();
  CHECK(backoff.NextDelay() == absl::Milliseconds(100));
}

TEST_CASE("Jitter keeps delays within its share of the nominal one, and differs between seeds") {
  BackoffOptions options;
  options.first = options.max = absl::Seconds(1);
  options.jitter = 0.25;
  Backoff one(1, options), same(1, options), other(2, options);
  int different = 0;
  for (int i = 0; i < 100; ++i) {
    const absl::Duration delay = one.NextDelay();
    CHECK(delay >= absl::Milliseconds(750));
    CHECK(delay <= absl::Seconds(1));
    CHECK(delay == same.NextDelay());
    different += delay != other.NextDelay() ? 1 : 0;
  }
  CHECK(different > 90);
}

}  // namespace
}  // namespace shoal
