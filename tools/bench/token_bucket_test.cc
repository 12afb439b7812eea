#include "tools/bench/token_bucket.h"

#include "catch2/catch.hpp"

namespace shoal::bench {
namespace {

constexpr double kRate = 8e6;  // a byte takes a microsecond
const absl::Time kStart = absl::FromUnixSeconds(1000);

TEST_CASE("Bytes take their size divided by the speed, one message after another") {
  TokenBucket link(kRate, 0);
  CHECK(link.Take(kStart, 1000) == absl::Microseconds(1000));
  CHECK(link.Take(kStart, 500) == absl::Microseconds(1500));
  CHECK(link.Take(kStart + absl::Microseconds(1200), 100) == absl::Microseconds(400));
}

TEST_CASE("A link that was idle does not catch up without a burst") {
  TokenBucket link(kRate, 0);
  CHECK(link.Take(kStart, 1000) == absl::Microseconds(1000));
  CHECK(link.Take(kStart + absl::Seconds(5), 1000) == absl::Microseconds(1000));
}

TEST_CASE("A burst crosses at once, the excess at the link's speed, and a pause refills it") {
  TokenBucket link(kRate, 300);
  CHECK(link.Take(kStart, 300) == absl::ZeroDuration());
  CHECK(link.Take(kStart, 1000) == absl::Microseconds(1000));
  // 1000 us after the bytes have crossed the bucket holds the whole burst, and never more.
  CHECK(link.Take(kStart + absl::Microseconds(2000), 400) == absl::Microseconds(100));
}

TEST_CASE("A sender that is late by less than the burst loses none of the link's time") {
  TokenBucket link(kRate, 200);
  absl::Time now = kStart;
  for (int i = 0; i < 100; ++i) now += link.Take(now, 1000) + absl::Microseconds(150);
  // 100 messages of 1000 bytes minus the burst, and the last delay, which nothing makes up for.
  CHECK(now - kStart == absl::Microseconds(100 * 1000 - 200 + 150));
}

}  // namespace
}  // namespace shoal::bench
