#include "scheduler/last_resort.h"

#include "catch2/catch.hpp"

namespace shoal::scheduler {
namespace {

using Step = LastResort::Step;

struct Fixture {
  WatchOptions options;
  LastResort resort{options};
  absl::Time now = absl::FromUnixSeconds(1000);
  LastResort::Situation situation;

  Step After(absl::Duration time) {
    now += time;
    return resort.Advance(now, situation);
  }
  // A round every `wait`.
  void Rounds(int count, absl::Duration wait) {
    (void)After(absl::ZeroDuration());
    for (int i = 0; i < count; ++i) {
      ++situation.milestone[2];
      CHECK(After(wait) == Step::kNone);
    }
  }
  // The steps taken, in order, while there is no progress.
  std::vector<Step> Steps(absl::Duration time) {
    std::vector<Step> steps;
    for (absl::Duration waited; waited < time; waited += absl::Seconds(1)) {
      const Step step = After(absl::Seconds(1));
      if (step != Step::kNone) steps.push_back(step);
      if (step == Step::kGiveUp) break;
    }
    return steps;
  }
};

TEST_CASE("Without progress each remedy is tried once, and then the job is given up") {
  Fixture f;
  f.Rounds(3, absl::Seconds(1));
  CHECK(f.resort.Deadline() == absl::Seconds(30));
  CHECK(f.Steps(absl::Seconds(30)).empty());
  const absl::Time start = f.now;
  CHECK(f.Steps(absl::Hours(1)) ==
        std::vector<Step>{Step::kRedeliver, Step::kMoveWork, Step::kGoBack, Step::kGiveUp});
  CHECK(f.now - start < absl::Minutes(8));
}

TEST_CASE("A job that is given up says everything that was tried, in order") {
  CHECK(LastResort::Text(Step::kGiveUp) == LastResort::Text(Step::kRedeliver) + ", nor to " +
                                               LastResort::Text(Step::kMoveWork) + ", nor to " +
                                               LastResort::Text(Step::kGoBack));
}

TEST_CASE("The deadline is a multiple of the longest wait between two moves, within limits") {
  Fixture f;
  (void)f.After(absl::ZeroDuration());
  CHECK(f.resort.Deadline() == absl::Minutes(2));  // nothing is measured
  f.Rounds(2, absl::Seconds(20));
  CHECK(f.resort.Deadline() == absl::Seconds(160));
  f.Rounds(2, absl::Seconds(100));
  CHECK(f.resort.Deadline() == absl::Minutes(10));
}

TEST_CASE("A job that gets further than ever before gets all remedies again; one that goes back does not") {
  Fixture f;
  f.Rounds(3, absl::Seconds(1));
  CHECK(f.Steps(absl::Seconds(31)) == std::vector<Step>{Step::kRedeliver});
  SECTION("further") {
    ++f.situation.milestone[2];
    CHECK(f.Steps(absl::Seconds(32)) == std::vector<Step>{Step::kRedeliver});
  }
  SECTION("back, and up to the same place again") {
    --f.situation.milestone[2];
    CHECK(f.Steps(absl::Seconds(10)).empty());
    ++f.situation.milestone[2];
    CHECK(f.Steps(absl::Hours(1)) == std::vector<Step>{Step::kMoveWork, Step::kGoBack, Step::kGiveUp});
  }
}

TEST_CASE("A node at work, or a wait for something else, holds off the remedies") {
  Fixture f;
  f.Rounds(3, absl::Seconds(1));
  SECTION("a node at work") {
    for (int i = 0; i < 1000; ++i) {
      f.situation.sign = f.now;
      CHECK(f.After(absl::Seconds(1)) == Step::kNone);
    }
  }
  SECTION("nodes that are not there") {
    f.situation.waits = true;
    CHECK(f.Steps(absl::Hours(1)).empty());
    f.situation.waits = false;
    CHECK(f.Steps(absl::Seconds(30)).empty());
  }
  CHECK(f.Steps(absl::Seconds(31)).size() == 1);
}

TEST_CASE("Waits in vain, or for nodes, do not count towards how long a round takes") {
  Fixture f;
  f.Rounds(3, absl::Seconds(1));
  SECTION("nodes") {
    f.situation.waits = true;
    (void)f.After(absl::Seconds(500));
    f.situation.waits = false;
  }
  SECTION("a remedy") { CHECK(f.After(absl::Seconds(500)) == Step::kRedeliver); }
  f.Rounds(2, absl::Seconds(1));
  CHECK(f.resort.Deadline() == absl::Seconds(30));
}

TEST_CASE("A sign of life from the future holds off the remedies no longer than one from now") {
  Fixture f;
  f.Rounds(3, absl::Seconds(1));
  f.situation.sign = absl::InfiniteFuture();
  (void)f.After(absl::Seconds(1));
  f.situation.sign = absl::InfinitePast();
  CHECK(f.Steps(absl::Seconds(31)).size() == 1);
}

}  // namespace
}  // namespace shoal::scheduler
