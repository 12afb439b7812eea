#include "common/job/schedule.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>
#include <vector>

#include "catch2/catch.hpp"

namespace shoal {
namespace {

JobSpec JobWith(ScheduleType type, uint64_t warmup_rounds, double end_factor = 0) {
  JobSpec job;
  job.mutable_optimizer()->set_learning_rate(0.002);
  job.mutable_schedule()->set_type(type);
  job.mutable_schedule()->mutable_warmup()->set_rounds(warmup_rounds);
  if (end_factor > 0) job.mutable_schedule()->set_end_factor(end_factor);
  return job;
}

Interval Rounds(uint64_t rounds) {
  Interval interval;
  interval.set_rounds(rounds);
  return interval;
}

Interval Epochs(double epochs) {
  Interval interval;
  interval.set_epochs(epochs);
  return interval;
}

Interval Never() {
  Interval interval;
  interval.set_never(true);
  return interval;
}

std::vector<uint64_t> AllDue(const Interval& interval, const TrainingLength& length) {
  std::vector<uint64_t> due;
  for (uint64_t v = 0; v <= length.rounds + 3; ++v) {
    if (IsDue(interval, length, Version(v))) due.push_back(v);
  }
  return due;
}

uint64_t BitsOf(double value) {
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(bits));
  return bits;
}

TEST_CASE("A linear schedule with warm-up follows the formula of the reference dumps") {
  const JobSpec job = JobWith(SCHEDULE_TYPE_LINEAR, 3);
  for (int i = 0; i < 10; ++i) {
    const double expected = 0.002 * std::min((i + 1) / 3.0, (10 - i) / 7.0);
    CHECK(LearningRate(job, {10, 5}, Round(i)) == Approx(expected).epsilon(1e-15));
  }
  CHECK(LearningRate(job, {10, 5}, Round(10)) == 0);
}

TEST_CASE("A cosine schedule agrees with the library's cosine") {
  const JobSpec job = JobWith(SCHEDULE_TYPE_COSINE, 0, 0.1);
  for (uint64_t r = 0; r <= 1000; ++r) {
    const double expected = 0.1 + 0.9 * (1 + std::cos(M_PI * static_cast<double>(r) / 1000)) / 2;
    CHECK(std::fabs(LearningRate(job, {1000, 5}, Round(r)) / 0.002 - expected) < 4e-16);
  }
}

// The figure is what this code gave on the first machine it ran on; the test above shows that it is right.
TEST_CASE("The bits of a cosine schedule are the same on every machine") {
  const JobSpec job = JobWith(SCHEDULE_TYPE_COSINE, 7);
  uint64_t sum = 0;
  for (uint64_t r = 0; r <= 100; ++r) sum = sum * 31 + BitsOf(LearningRate(job, {100, 5}, Round(r)));
  CHECK(sum == 0x8b486fce47b38b81);
}

TEST_CASE("A constant schedule stays at the peak after the warm-up") {
  const JobSpec job = JobWith(SCHEDULE_TYPE_CONSTANT, 4);
  CHECK(LearningRate(job, {100, 5}, Round(0)) == Approx(0.0005));
  CHECK(LearningRate(job, {100, 5}, Round(3)) == 0.002);
  CHECK(LearningRate(job, {100, 5}, Round(99)) == 0.002);
}

TEST_CASE(
    "An inverse square root schedule peaks at the end of the warm-up and is halved at four times the "
    "rounds") {
  const JobSpec job = JobWith(SCHEDULE_TYPE_INVERSE_SQRT, 25);
  CHECK(LearningRate(job, {1000, 5}, Round(24)) == 0.002);
  CHECK(LearningRate(job, {1000, 5}, Round(99)) == Approx(0.001).epsilon(1e-15));
  CHECK(LearningRate(JobWith(SCHEDULE_TYPE_INVERSE_SQRT, 0), {1000, 5}, Round(3)) == 0.001);
}

TEST_CASE("A warm-up in epochs counts the rounds of an epoch") {
  JobSpec job = JobWith(SCHEDULE_TYPE_CONSTANT, 0);
  job.mutable_schedule()->mutable_warmup()->set_epochs(0.5);
  CHECK(LearningRate(job, {100, 20}, Round(4)) == Approx(0.001));
}

TEST_CASE("A warm-up as long as the training causes no division by zero") {
  for (ScheduleType type : {SCHEDULE_TYPE_LINEAR, SCHEDULE_TYPE_COSINE}) {
    const JobSpec job = JobWith(type, 10);
    CHECK(LearningRate(job, {10, 5}, Round(9)) == 0.002);
    CHECK(LearningRate(job, {10, 5}, Round(10)) < 1e-18);
  }
}

TEST_CASE("The length of a training in epochs is rounded to the nearest round and is never zero") {
  TrainSpec train;
  train.set_epochs(2.5);
  CHECK(LengthOf(train, 11).rounds == 28);
  train.set_epochs(0.001);
  CHECK(LengthOf(train, 11).rounds == 1);
  train.set_rounds(77);
  CHECK(LengthOf(train, 11).rounds == 77);
  CHECK(LengthOf(train, 11).rounds_per_epoch == 11);
}

TEST_CASE("What is due at an interval is due at its multiples and at the end") {
  CHECK(AllDue(Rounds(3), {10, 5}) == std::vector<uint64_t>{3, 6, 9, 10});
  CHECK(AllDue(Epochs(1), {10, 5}) == std::vector<uint64_t>{5, 10});
  CHECK(AllDue(Rounds(1), {3, 5}) == std::vector<uint64_t>{1, 2, 3});
  CHECK(AllDue(Rounds(50), {3, 5}) == std::vector<uint64_t>{3});
  CHECK(AllDue(Never(), {10, 5}).empty());
  CHECK(AllDue(Interval(), {10, 5}).empty());
}

TEST_CASE("Parts of an epoch don't drift") {
  CHECK(AllDue(Epochs(0.5), {21, 7}) == std::vector<uint64_t>{4, 7, 11, 14, 18, 21});
  const TrainingLength length = {100000, 997};
  for (uint64_t epoch = 1; epoch * 997 <= length.rounds; ++epoch) {
    CHECK(IsDue(Epochs(0.1), length, Version(epoch * 997)));
  }
}

TEST_CASE("Intervals of less than a round are due at every round") {
  CHECK(AllDue(Epochs(0.01), {4, 5}) == std::vector<uint64_t>{1, 2, 3, 4});
}

TEST_CASE("The next due version is the first one that is due after the given one") {
  const TrainingLength length = {40, 7};
  for (const Interval& interval :
       {Rounds(1), Rounds(6), Epochs(1), Epochs(0.3), Epochs(2.49), Epochs(0.01)}) {
    for (uint64_t v = 0; v < length.rounds; ++v) {
      const std::optional<Version> next = NextDue(interval, length, Version(v));
      REQUIRE(next.has_value());
      CHECK(next->value() > v);
      CHECK(IsDue(interval, length, *next));
      for (uint64_t between = v + 1; between < next->value(); ++between) {
        CHECK_FALSE(IsDue(interval, length, Version(between)));
      }
    }
    CHECK_FALSE(NextDue(interval, length, Version(length.rounds)).has_value());
  }
  CHECK_FALSE(NextDue(Never(), length, Version(0)).has_value());
}

TEST_CASE("A warm-up that turns out longer than the training is refused") {
  JobSpec job = JobWith(SCHEDULE_TYPE_LINEAR, 11);
  CHECK(CheckLength(job, {11, 5}).ok());
  CHECK(CheckLength(job, {10, 5}).message() ==
        "schedule.warmup: 11 rounds; expected at most the 10 rounds of the training");
  *job.mutable_schedule()->mutable_warmup() = Epochs(3);
  CHECK(CheckLength(job, {10, 5}).message() ==
        "schedule.warmup: 3 epochs are 15 rounds; expected at most the 10 rounds of the training");
}

}  // namespace
}  // namespace shoal
