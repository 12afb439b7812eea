#include "scheduler/last_resort.h"

#include <algorithm>

#include "absl/strings/str_join.h"

namespace shoal::scheduler {
namespace {

// Indexed by step, from kRedeliver on.
constexpr const char* kRemedies[] = {"deliver all messages again, in new sessions and a new view",
                                     "move work off these nodes", "go back to the newest checkpoint"};

}  // namespace

std::string LastResort::Text(Step step) {
  if (step == Step::kGiveUp) return absl::StrJoin(kRemedies, ", nor to ");
  return step == Step::kNone ? "" : kRemedies[static_cast<int>(step) - 1];
}

absl::Duration LastResort::Deadline() const {
  const WatchOptions::Limits& limits = options_.stall;
  absl::Duration once = std::max(limits.first, limits.floor);
  if (longest_.measured()) {
    once = std::max(limits.floor,
                    std::min(options_.longest_deadline, options_.deadline_factor * longest_.longest()));
  }
  return once * (1 << taken_);
}

void LastResort::Move(absl::Time now, const Milestone& milestone) {
  // A wait that a remedy has ended, or that was in vain, does not show how long work takes; nor does the time
  // until a view changes.
  if (measurable_ && milestone > furthest_) longest_.Add(now, now - moved_, options_.measured_period);
  at_ = milestone;
  moved_ = alive_ = now;
  measurable_ = true;
  if (milestone <= furthest_) return;
  furthest_ = milestone;
  taken_ = 0;
}

LastResort::Step LastResort::Advance(absl::Time now, const Situation& situation) {
  if (situation.milestone != at_ || moved_ == absl::InfinitePast()) Move(now, situation.milestone);
  if (situation.waits) {
    alive_ = now;
    measurable_ = false;
  }
  alive_ = std::max(alive_, std::min(situation.sign, now));
  if (now - alive_ <= Deadline()) return Step::kNone;
  alive_ = now;
  measurable_ = false;
  static constexpr Step kSteps[] = {Step::kRedeliver, Step::kMoveWork, Step::kGoBack, Step::kGiveUp};
  const Step step = kSteps[taken_];
  taken_ = std::min(taken_ + 1, 3);
  return step;
}

}  // namespace shoal::scheduler
