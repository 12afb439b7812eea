#include "common/job/schedule.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "common/job/job_scalar.h"

namespace shoal {
namespace {

constexpr double kPi = 3.14159265358979323846;

// (1 + cos(π x)) / 2 for x in [0, 1], as (1 - sin(π (x - 1/2))) / 2. The sine's Taylor series up to the 21st
// power is exact to double precision on [-π/2, π/2]: the next term is below 2e-18.
double HalfCosine(double x) {
  const double angle = kPi * (x - 0.5);
  const double square = angle * angle;
  double sum = 1.0;  // 1 - a²/(2·3) (1 - a²/(4·5) (1 - ...))
  for (int n = 20; n >= 2; n -= 2) sum = 1.0 - square / (n * (n + 1)) * sum;
  return std::max(0.0, 0.5 * (1.0 - angle * sum));
}

// The distance between consecutive due versions, in rounds; 0: never.
double StepOf(const Interval& interval, uint64_t rounds_per_epoch) {
  switch (interval.length_case()) {
    case Interval::kRounds:
      return static_cast<double>(interval.rounds());
    case Interval::kEpochs:
      return interval.epochs() * static_cast<double>(rounds_per_epoch);
    default:
      return 0;
  }
}

uint64_t Nearest(double rounds) { return static_cast<uint64_t>(std::floor(rounds + 0.5)); }

// The first multiple of `step`, rounded to the nearest version, after `version`; step > 0.
uint64_t NextMultiple(double step, uint64_t version) {
  // The next step is past `version`; if rounding makes the estimate off by one, the loop corrects it.
  double count = std::max(1.0, std::floor((static_cast<double>(version) + 0.5) / step) - 1);
  while (Nearest(count * step) <= version) ++count;
  return Nearest(count * step);
}

double Decayed(const ScheduleSpec& schedule, double warmup, double rounds, double round) {
  const double left = rounds > warmup ? (rounds - round) / (rounds - warmup) : 0;
  const double floor = schedule.end_factor();
  switch (schedule.type()) {
    case SCHEDULE_TYPE_LINEAR:
      return floor + (1 - floor) * left;
    case SCHEDULE_TYPE_COSINE:
      return floor + (1 - floor) * HalfCosine(1 - left);
    case SCHEDULE_TYPE_INVERSE_SQRT:
      return std::sqrt(std::max(warmup, 1.0)) / std::sqrt(round + 1);
    default:
      return 1;
  }
}

}  // namespace

TrainingLength LengthOf(const TrainSpec& train, uint64_t rounds_per_epoch) {
  const uint64_t per_epoch = std::max<uint64_t>(rounds_per_epoch, 1);
  if (train.has_rounds()) return {train.rounds(), per_epoch};
  return {std::max<uint64_t>(1, Nearest(train.epochs() * static_cast<double>(per_epoch))), per_epoch};
}

uint64_t RoundsIn(const Interval& interval, uint64_t rounds_per_epoch) {
  return Nearest(StepOf(interval, rounds_per_epoch));
}

absl::Status CheckLength(const JobSpec& job, const TrainingLength& length) {
  const Interval& warmup = job.schedule().warmup();
  const uint64_t rounds = RoundsIn(warmup, length.rounds_per_epoch);
  if (rounds <= length.rounds) return absl::OkStatus();
  const std::string converted = warmup.has_rounds() ? "" : absl::StrCat(" are ", rounds, " rounds");
  return absl::InvalidArgumentError(absl::StrCat("schedule.warmup: ", FormatInterval(warmup), converted,
                                                 "; expected at most the ", length.rounds,
                                                 " rounds of the training"));
}

bool IsDue(const Interval& interval, const TrainingLength& length, Version version) {
  if (version == Version(0)) return false;
  return NextDue(interval, length, version - 1) == version;
}

std::optional<Version> NextDue(const Interval& interval, const TrainingLength& length, Version version) {
  const double step = StepOf(interval, length.rounds_per_epoch);
  if (!(step > 0) || version.value() >= length.rounds) return std::nullopt;
  // With steps of less than a round, every version is due.
  return Version(std::min(NextMultiple(std::max(step, 1.0), version.value()), length.rounds));
}

double LearningRate(const JobSpec& job, const TrainingLength& length, Round round) {
  const double peak = job.optimizer().learning_rate();
  const uint64_t warmup = RoundsIn(job.schedule().warmup(), length.rounds_per_epoch);
  const uint64_t at = std::min(round.value(), length.rounds);
  if (at < warmup) return peak * (static_cast<double>(at + 1) / static_cast<double>(warmup));
  return peak * Decayed(job.schedule(), static_cast<double>(warmup), static_cast<double>(length.rounds),
                        static_cast<double>(at));
}

}  // namespace shoal
