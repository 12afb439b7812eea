// Whether nodes that are alive make progress, and which peers they can't reach: how the scheduler interprets
// heartbeats ("Alive is not working" in docs/protocol.md).
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

// Text for users: "loading its state".
const char* ActivityText(ActivityKind kind);

// Pure; not thread-safe.
//
// Each activity has a deadline for its next progress: options.deadline_factor times the longest wait between
// two signs of progress that was recently measured for activities of its kind, on any node, in this job; but
// at least its kind's floor, at most options.longest_deadline, and its kind's first value until something was
// measured. A wait beyond its deadline is not measured, nor are a suspect's waits. A node with an activity
// beyond its deadline in two consecutive heartbeats is suspect until, for a time that doubles with each
// relapse, the activity has shown progress or has ended. In the same way two nodes are cut off from each
// other when one has not reached the other for options.unreachable_after.
class ProgressWatch {
 public:
  explicit ProgressWatch(const WatchOptions& options) : options_(options) {}

  // Limits on what is kept of one heartbeat; each text is cut by CutUtf8.
  static constexpr int kMaxActivities = 64;
  static constexpr int kMaxUnreachable = 1024;
  static constexpr int kMaxQueues = 16;
  static constexpr size_t kMaxTextBytes = 512;
  // Maximum number of (job, kind of activity) pairs whose waits are kept.
  static constexpr size_t kMaxMeasured = 256;

  // Peers that are not members are ignored.
  void OnHeartbeat(absl::Time now, NodeId node, const Heartbeat& heartbeat, const Membership& members);
  // The node's lease has ended.
  void Forget(NodeId node);

  // Clears nodes and pairs that have been well for long enough. Returns what is new since the last call, as
  // text for users.
  std::vector<std::string> Advance(absl::Time now, const Membership& members);

  // Why the node is suspect: "has shown no progress in computing (round 812, slot 5) for 41.2 s, expected
  // within 12.0 s". Null: it is not.
  const std::string* Suspect(NodeId node) const;
  bool IsCut(NodeId a, NodeId b) const;
  // All pairs that are cut off, in both orders.
  std::set<std::pair<NodeId, NodeId>> CutPairs() const;
  // Whether nobody is suspect or cut off.
  bool AllWell() const { return bad_ == 0; }
  // "worker-1 can't reach server-1 at 10.0.0.5:7071: connection refused", for each pair that is cut.
  std::vector<std::string> Cuts(const Membership& members) const;
  // The node's last heartbeat; null: none yet.
  const Heartbeat* Last(NodeId node) const;

  // Infinite for a kind without a deadline: a transfer, where both ends only wait for the network.
  absl::Duration Deadline(JobId job, ActivityKind kind) const;

 private:
  // A condition that comes and goes: how long it must be well before it counts as well.
  struct Hysteresis {
    uint32_t strikes = 0;
    bool bad = false;
    absl::Time well_since;  // while bad: since when it is well; InfiniteFuture: it is not
    absl::Time ended;       // when the last bad period ended
  };
  struct NodeState {
    Heartbeat last;
    std::map<std::pair<JobId, ActivityKind>, int> overdue;  // consecutive heartbeats
    // The activities that made it suspect, each with its idle time then; removed once they progress.
    std::map<std::pair<JobId, ActivityKind>, absl::Duration> stuck;
    Hysteresis suspect;
    std::string why;
    std::string news;  // not reported yet
  };
  // The key is (the node that tries, the node that it can't reach).
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
  int bad_ = 0;  // number of nodes and pairs that are bad
  std::map<NodeId, NodeState> nodes_;
  std::map<Pair, PairState> pairs_;
  std::map<std::pair<JobId, ActivityKind>, LongestWait> longest_;
};

}  // namespace shoal::scheduler
