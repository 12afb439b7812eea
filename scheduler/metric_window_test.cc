#include "scheduler/metric_window.h"

#include "catch2/catch.hpp"

namespace shoal::scheduler {
namespace {

// Round `number`, of 100 examples and 700 tokens.
RoundStats RoundOf(uint64_t number) {
  RoundStats round;
  round.set_round(number);
  round.mutable_stats()->set_examples(100);
  round.mutable_stats()->set_tokens(700);
  round.mutable_stats()->set_weight(100);
  return round;
}

const absl::Time kStart = absl::UnixEpoch() + absl::Hours(1);

TEST_CASE("A window that took no time has the speed of the last few seconds") {
  MetricWindow window;
  window.Start(kStart, Version(0));
  absl::Time now = kStart;
  for (uint64_t round = 0; round < 40; ++round) window.Add(now += absl::Milliseconds(50), RoundOf(round));
  CHECK(window.Record(now, 10).examples_per_second() == Approx(2000));
  // The next rounds come in the same report.
  window.Start(now, Version(40));
  window.Add(now, RoundOf(40));
  window.Add(now, RoundOf(41));
  CHECK(window.Record(now, 10).examples_per_second() == Approx(2100));
  CHECK(window.Record(now + absl::Microseconds(10), 10).tokens_per_second() == Approx(14700).epsilon(0.01));
}

TEST_CASE("A long window has its own speed, also when the last seconds were faster") {
  MetricWindow window;
  window.Start(kStart, Version(0));
  window.Add(kStart + absl::Seconds(90), RoundOf(0));
  window.Add(kStart + absl::Seconds(100), RoundOf(1));
  CHECK(window.Record(kStart + absl::Seconds(100), 10).examples_per_second() == Approx(2));
  CHECK(window.Progress(kStart + absl::Seconds(100), 10).examples_per_second() == Approx(10));
}

}  // namespace
}  // namespace shoal::scheduler
