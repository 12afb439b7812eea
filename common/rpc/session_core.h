// What a node decides about its session with the scheduler ("Nodes" in docs/protocol.md): when to join, open
// a stream, wait, send a heartbeat, or join again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/backoff.h"
#include "proto/scheduler.pb.h"

namespace shoal {

// ---- what the core asks its shell to do ----

// Answered by SessionCore::Joined.
struct CallJoin {
  JoinRequest request;
};
// Opens a stream whose first report is `hello`. It replaces any other. Answered by Opened (or not), then by
// Closed.
struct OpenStream {
  uint64_t stream = 0;
  Hello hello;
};
// Ends the call; its events no longer matter.
struct CloseStream {
  uint64_t stream = 0;
};
// One at a time. Answered by Written.
struct WriteReport {
  uint64_t stream = 0;
  NodeReport report;
};
// A heartbeat is due: fill one in and Send it.
struct MakeHeartbeat {};
// Call Tick at this time at the latest.
struct WakeAt {
  absl::Time time;
};
// News for the node, in the order in which they happened.
struct SessionNews {
  enum class Kind {
    kJoined,     // `joined`
    kOpened,     // a session is open
    kLeaseLost,  // the scheduler has ended the node's lease: answered by StateDropped
    kReleased,   // nothing depends on the node any longer
    kRefused,    // `refused`: the scheduler will never admit this node as it is; the last news
  };
  Kind kind = Kind::kJoined;
  JoinResponse joined;
  uint64_t stream = 0;  // kOpened: of this session
  absl::Status refused;
};
// A line for the log.
struct SessionLog {
  bool warning = false;
  std::string text;
};

using SessionAction = std::variant<CallJoin, OpenStream, CloseStream, WriteReport, MakeHeartbeat, WakeAt,
                                   SessionNews, SessionLog>;

// Pure: (event, now) -> actions, without thread, clock or socket. After every call the caller takes the
// actions and carries them out in order. Not thread-safe. Events of streams that have ended are harmless.
class SessionCore {
 public:
  struct Options {
    JoinRequest join;       // cluster_id is filled in
    std::string scheduler;  // its address, for messages
    BackoffOptions backoff;
    uint64_t seed = 0;  // of the backoff's jitter: a different one for each process
  };

  // The most reports that may wait to be written: beyond it the stream is closed, and all state is reported
  // again in the next one. Heartbeats say how many wait.
  static constexpr size_t kMaxQueuedReports = 4096;

  explicit SessionCore(Options options);

  // ---- what has happened ----
  void Start(absl::Time now);
  void Joined(absl::Time now, const absl::StatusOr<JoinResponse>& response);
  // The scheduler has accepted the Hello.
  void Opened(absl::Time now, uint64_t stream);
  void Released(absl::Time now, uint64_t stream);
  void Written(absl::Time now, uint64_t stream);
  void Closed(absl::Time now, uint64_t stream, const absl::Status& status);
  void Tick(absl::Time now);
  // The node has dropped what it held under the lease that ended. It joins again only then, so that nothing
  // from the old lease is reported under the new one.
  void StateDropped(absl::Time now);
  // The node wants to leave: says so in this and every later session, until it is released. Without a lease
  // it is released at once, or when a Join in flight is answered with an error, and joins no more.
  void Leave(absl::Time now);

  // A report by a caller that has handled the opening of `stream`, and of no later one: dropped when another
  // stream is open, in which all state is reported again. Otherwise new state would overtake what the
  // scheduler may have forgotten, which would look outdated when it arrives.
  void SendIn(absl::Time now, uint64_t stream, NodeReport report) {
    if (IsCurrent(stream)) Send(now, std::move(report));
  }
  // Queues a report for the open stream; dropped when there is none. A second heartbeat behind a waiting one
  // is dropped too.
  void Send(absl::Time now, NodeReport report);

  // Whether directives of this stream must still be carried out.
  bool IsCurrent(uint64_t stream) const { return stream_ != 0 && stream == stream_; }
  // 0 while not joined.
  uint64_t node_id() const { return joined_.node_id(); }
  bool leaving() const { return leaving_; }
  size_t queued_reports() const { return queue_.size(); }

  std::vector<SessionAction> TakeActions();

 private:
  enum class Phase { kJoining, kStreaming, kPausing, kDropping, kEnded };

  void CallJoinNow();
  std::string WhyNotJoined(const absl::Status& status) const;
  void OpenStreamNow(absl::Time now);
  void Pause(absl::Time now);
  void SendLeaving(absl::Time now);
  void EndReleased();
  void WriteNext();
  void Tell(SessionNews::Kind kind);
  void Log(bool warning, std::string text);
  absl::Duration heartbeat() const;

  const Options options_;
  Backoff backoff_;
  Phase phase_ = Phase::kPausing;
  JoinResponse joined_;                            // node_id 0: not joined
  absl::Time resume_ = absl::InfiniteFuture();     // kPausing: until then
  absl::StatusCode said_ = absl::StatusCode::kOk;  // of the last failure to join that was logged
  uint64_t next_stream_ = 1;
  uint64_t stream_ = 0;  // 0: none
  bool leaving_ = false;
  bool join_at_once_ = false;  // kDropping: the lease that ended had lasted for a while
  bool opened_ = false;        // the stream's Hello was accepted
  absl::Time opened_at_;
  absl::Time next_heartbeat_ = absl::InfiniteFuture();
  bool writing_ = false;
  std::deque<NodeReport> queue_;
  std::vector<SessionAction> actions_;
};

}  // namespace shoal
