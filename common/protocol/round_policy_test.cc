#include "common/protocol/round_policy.h"

#include "catch2/catch.hpp"

namespace shoal {
namespace {

using Timing = RoundPolicy::Timing;

TEST_CASE("Synchronous: a worker starts the next round when its own slots of this one are done",
          "[protocol]") {
  CHECK(SynchronousRounds().NextToStart(Version(7), false) == Round(7));
  CHECK(SynchronousRounds().NextToStart(Version(7), true) == Round(8));
}

TEST_CASE("Synchronous: contributions count for the round that starts from the published version",
          "[protocol]") {
  const RoundPolicy& rounds = SynchronousRounds();
  CHECK(rounds.TimingOf(Round(6), Version(7), Version(7)) == Timing::kOver);
  CHECK(rounds.TimingOf(Round(7), Version(7), Version(7)) == Timing::kOpen);
  CHECK(rounds.TimingOf(Round(8), Version(7), Version(7)) == Timing::kEarly);
  // Applied, and not yet published: round 7 is over, and nobody has the version that round 8 needs.
  CHECK(rounds.TimingOf(Round(7), Version(8), Version(7)) == Timing::kOver);
  CHECK(rounds.TimingOf(Round(8), Version(8), Version(7)) == Timing::kEarly);
}

TEST_CASE("Synchronous: a round is applied when all its slots are in", "[protocol]") {
  CHECK_FALSE(SynchronousRounds().IsDue(/*complete=*/false));
  CHECK(SynchronousRounds().IsDue(/*complete=*/true));
}

}  // namespace
}  // namespace shoal
