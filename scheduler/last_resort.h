// When to act on a job on which nothing moves though nobody says why, and how: "Alive is not working" in
// docs/protocol.md.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "absl/time/time.h"
#include "scheduler/longest_wait.h"
#include "scheduler/options.h"

namespace shoal::scheduler {

// Heartbeats, activities and unreachable peers say why a job waits, and the rules for these act on it. What
// no rule knows (a message that a bug has swallowed, a state that two nodes see differently) would stop a job
// for ever. So when it has shown no sign of life for its deadline, a remedy is tried, then the next one, each
// with twice the time of the one before. When all have failed without the job getting to where it had never
// been, it is given up.
//
// The deadline is options.deadline_factor times the longest wait for a move to where the job had never been
// that was measured lately in this job; at least options.stall.floor, at most options.longest_deadline, and
// options.stall.first as long as nothing was measured.
//
// Pure; not thread-safe.
class LastResort {
 public:
  enum class Step {
    kNone,
    kRedeliver,  // the same nodes, in a new view and new sessions: each says and hears everything again
    kMoveWork,   // work of the nodes that owe something goes to others
    kGoBack,     // to the newest checkpoint
    kGiveUp,
  };
  // How far the job has got, the most important number first. Each change is a move.
  using Milestone = std::array<uint64_t, 5>;
  struct Situation {
    Milestone milestone = {};
    absl::Time sign = absl::InfinitePast();  // the last that somebody is at work; `now` while its own
                                             // deadline is watched
    bool waits = false;  // for what no remedy brings: nodes, files, a pair that can't reach each other
  };

  // `options` must outlive it.
  explicit LastResort(const WatchOptions& options) : options_(options) {}

  // For people: "move work off these nodes"; of kGiveUp, all that was done before.
  static std::string Text(Step step);

  // Often, with how things are. Each step is returned once, when it is to be done.
  Step Advance(absl::Time now, const Situation& situation);

  // For the next sign of life.
  absl::Duration Deadline() const;
  // Without any.
  absl::Duration Silence(absl::Time now) const { return now - alive_; }

 private:
  void Move(absl::Time now, const Milestone& milestone);

  const WatchOptions& options_;
  Milestone at_ = {};
  Milestone furthest_ = {};
  absl::Time moved_ = absl::InfinitePast();
  absl::Time alive_ = absl::InfinitePast();  // last sign, or start of the wait for the step that was taken
  bool measurable_ = false;                  // the wait since moved_ was one for work
  LongestWait longest_;
  int taken_ = 0;  // steps, since the job was further than ever
};

}  // namespace shoal::scheduler
