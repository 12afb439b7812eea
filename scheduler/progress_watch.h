// Whether nodes that are alive get on with their work, and whom they can't reach: what the scheduler makes of
// the heartbeats ("Alive is not working" in docs/protocol.md).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "common/base/types.h"
#include "proto/scheduler.pb.h"
#include "scheduler/longest_wait.h"
#include "scheduler/membership.h"
#include "scheduler/options.h"

namespace shoal::scheduler {

// For people: "loading its state".
const char* ActivityText(ActivityKind kind);

// Pure; not thread-safe.
//
// Each activity has a deadline for its next progress: options.deadline_factor times the longest wait between
// two signs of progress that was measured lately for activities of its kind, on any node, in this job; but at
// least its kind's floor, at most options.longest_deadline, and its kind's first value as long as nothing was
// measured. A wait beyond its deadline is not measured, nor are a suspect's. A node with an activity beyond
// its deadline in two heartbeats is suspect, until it has shown progress in it, or the activity has ended,
// for a while that doubles each time. In the same way two nodes are cut off from each other when one has not
// reached the other for options.unreachable_after.
class ProgressWatch {
 public:
  explicit ProgressWatch(const WatchOptions& options) : options_(options) {}

  // Of one heartbeat at most so much is kept.
  static constexpr int kMaxActivities = 64;
  static constexpr int kMaxUnreachable = 1024;
  static constexpr size_t kMaxTextBytes = 512;
  // And so many measured kinds of activity of jobs.
  static constexpr size_t kMaxMeasured = 256;

  // Peers that are no members are left out.
  void OnHeartbeat(absl::Time now, NodeId node, const Heartbeat& heartbeat, const Membership& members);
  // The node's lease is over.
  void Forget(NodeId node);

  // Ends what is to end by time. Returns what is new since the last call, for people.
  std::vector<std::string> Advance(absl::Time now, const Membership& members);

  // Why the node is set aside: "has shown no progress in computing (round 812, slot 5) for 41.2 s, expected
  // within 12.0 s". Null: it is not.
  const std::string* Suspect(NodeId node) const;
  bool IsCut(NodeId a, NodeId b) const;
  // All pairs that are, in either order.
  std::set<std::pair<NodeId, NodeId>> CutPairs() const;
  // Nobody is suspect or cut off.
  bool AllWell() const { return bad_ == 0; }
  // "worker-1 can't reach server-1 at 10.0.0.5:7071: connection refused", for each pair that is cut.
  std::vector<std::string> Cuts(const Membership& members) const;
  // The node's last heartbeat; null: none yet.
  const Heartbeat* Last(NodeId node) const;

  // Infinite for a kind that has none: a transfer, where both ends only wait for the network.
  absl::Duration Deadline(JobId job, ActivityKind kind) const;

 private:
  // Something bad that comes and goes: how long it must be well before it counts as well.
  struct Hysteresis {
    uint32_t strikes = 0;
    bool bad = false;
    absl::Time well_since;  // while bad: InfiniteFuture as long as it is not well
    absl::Time ended;       // of the last bad time
  };
  struct NodeState {
    Heartbeat last;
    std::map<std::pair<JobId, ActivityKind>, int> overdue;  // heartbeats in a row
    // What made it suspect, and how long that had been idle, until it has moved.
    std::map<std::pair<JobId, ActivityKind>, absl::Duration> stuck;
    Hysteresis suspect;
    std::string why;
    std::string news;  // not told yet
  };
  // From the one that tries to the one that it can't reach.
  using Pair = std::pair<NodeId, NodeId>;
  struct PairState {
    Hysteresis cut;
    std::string error;
    bool told = false;
  };
  void Measure(absl::Time now, JobId job, ActivityKind kind, absl::Duration wait);
  void MeasureAgainst(absl::Time now, const NodeState& former, const Heartbeat& heartbeat);
  void CheckActivities(absl::Time now, NodeState* state);
  void CheckPeers(absl::Time now, NodeId node, const Heartbeat& heartbeat, const Membership& members);
  void TurnBad(absl::Time now, Hysteresis* state);
  bool TurnsWell(absl::Time now, Hysteresis* state);
  static std::string CutText(const Pair& pair, const PairState& state, const Membership& members);

  const WatchOptions& options_;
  int bad_ = 0;  // nodes and pairs that are
  std::map<NodeId, NodeState> nodes_;
  std::map<Pair, PairState> pairs_;
  std::map<std::pair<JobId, ActivityKind>, LongestWait> longest_;
};

}  // namespace shoal::scheduler
