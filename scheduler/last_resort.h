// When and how to act on a job that makes no progress for no known reason: "Alive is not working" in
// docs/protocol.md.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "absl/time/time.h"
#include "scheduler/longest_wait.h"
#include "scheduler/options.h"

namespace shoal::scheduler {

// Heartbeats, activities and unreachable peers say why a job waits, and the rules for them act on it. What no
// rule covers (a message lost to a bug, a state that two nodes see differently) would stop a job forever. So
// when the job has shown no sign of life by its deadline, one remedy after another is tried, each given twice
// as long as the one before. When all have failed without the job getting further than ever before, the job
// fails.
//
// The deadline is options.deadline_factor times the longest recently measured wait for a step that took this
// job further than ever before; at least options.stall.floor, at most options.longest_deadline, and
// options.stall.first until something was measured.
//
// Pure; not thread-safe.
class LastResort {
 public:
  enum class Step {
    kNone,
    kRedeliver,  // the same nodes in a new view and new sessions: all reports and directives are sent again
    kMoveWork,   // the work of the nodes that the job waits for goes to others
    kGoBack,     // to the newest checkpoint
    kGiveUp,
  };
  // How far the job has got, most important number first. Any change counts as progress.
  using Milestone = std::array<uint64_t, 5>;
  struct Situation {
    Milestone milestone = {};
    absl::Time sign = absl::InfinitePast();  // last sign that somebody is at work; `now` while
                                             // that work's own deadline is watched
    bool waits =
        false;  // for something that no remedy provides: nodes, files, a pair that can't reach each other
  };

  // `options` must outlive it.
  explicit LastResort(const WatchOptions& options) : options_(options) {}

  // Text for users: "move work off these nodes"; for kGiveUp, all the remedies tried before.
  static std::string Text(Step step);

  // The scheduler was suspended for that long: nothing was waited for.
  void Awake(absl::Duration asleep) {
    moved_ += asleep;
    alive_ += asleep;
  }
  // Call often, with the current situation. Returns each step once, when it is due.
  Step Advance(absl::Time now, const Situation& situation);

  // The time allowed until the next sign of life.
  absl::Duration Deadline() const;
  // The time since the last sign of life.
  absl::Duration Silence(absl::Time now) const { return now - alive_; }

 private:
  void Move(absl::Time now, const Milestone& milestone);

  const WatchOptions& options_;
  Milestone at_ = {};
  Milestone furthest_ = {};
  absl::Time moved_ = absl::InfinitePast();
  absl::Time alive_ = absl::InfinitePast();  // last sign of life, or when the last step was taken
  bool measurable_ = false;                  // since moved_ the job has waited only for work
  LongestWait longest_;
  int taken_ = 0;  // steps taken since the job last got further than ever before
};

}  // namespace shoal::scheduler
