// A node's side of its session with the scheduler ("Nodes" in docs/protocol.md): joins, keeps one stream
// open, sends heartbeats, and joins again when its lease has ended.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/base/backoff.h"
#include "common/base/event.h"
#include "common/base/executor.h"
#include "common/rpc/scheduler_link.h"
#include "common/rpc/session_core.h"
#include "grpcpp/grpcpp.h"
#include "proto/scheduler.pb.h"

namespace shoal {

// All callbacks but `heartbeat` run on one executor, one at a time, in the order of the events. They may
// block (no heartbeat is missed meanwhile, but later directives wait) and may call Send.
struct SessionCallbacks {
  // The node has an id: at the start, and again after on_lease_lost.
  std::function<void(const JoinResponse&)> on_joined;
  // A session is open (again): the scheduler may have missed or forgotten reports, so report all state again.
  std::function<void()> on_session_opened;
  std::function<void(const Directive&)> on_directive;
  // The scheduler has ended the node's lease: drop all state. The node joins again right after.
  std::function<void()> on_lease_lost;
  // The content of a heartbeat; null: nothing. Called for each one, concurrently with the other callbacks.
  // Must not block.
  std::function<Heartbeat()> heartbeat;
};

struct SessionOptions {
  std::shared_ptr<grpc::Channel> channel;  // to the scheduler; not needed with `link`
  std::string scheduler;                   // its address, for messages
  JoinRequest join;
  absl::Duration join_timeout = absl::Seconds(5);        // of one attempt
  BackoffOptions backoff;                                // between attempts
  ExecutorFactory executors;                             // of the session, and of the callbacks
  std::function<std::unique_ptr<SchedulerLink>()> link;  // null: gRPC over `channel`
};

// The shell of SessionCore. Thread-safe.
class SessionClient {
 public:
  // Starts joining in the background; tries until an attempt succeeds or the scheduler refuses this node.
  SessionClient(SessionOptions options, SessionCallbacks callbacks);
  // Stops.
  ~SessionClient();
  SessionClient(const SessionClient&) = delete;
  SessionClient& operator=(const SessionClient&) = delete;

  // Queues a report for the open session; never blocks. Dropped when none is open, and until
  // on_session_opened is called for it: what is reported there comes first in a session.
  void Send(NodeReport report);

  // Asks the scheduler to give this node's work to others; Leave waits for the answer.
  void StartLeaving();
  // Returns when the scheduler has released or refused the node, at once when it is not joined (when it is
  // joining, once that has been answered or has timed out), or after `timeout`.
  void Leave(absl::Duration timeout);

  // Waits until the scheduler has refused this node for good (the error), or `timeout` has passed (OK).
  absl::Status WaitRefused(absl::Duration timeout) ABSL_LOCKS_EXCLUDED(mutex_);

  // Ends the session; no callback runs after it has returned. Must not be called from a callback.
  void Stop();

  // Whether the scheduler has released or refused the node.
  bool released() { return released_.WaitFor(absl::ZeroDuration()); }
  // 0 while not joined.
  uint64_t node_id() const { return node_id_.load(std::memory_order_acquire); }

 private:
  // The events of one stream.
  struct StreamEvents : SchedulerStreamEvents {
    StreamEvents(SessionClient* c, uint64_t n) : client(c), number(n) {}
    void OnOpened() override;
    void OnDirective(Directive directive) override;
    void OnWritten() override;
    void OnClosed(const absl::Status& status) override;
    SessionClient* const client;
    const uint64_t number;
  };

  // ---- on the session's executor ----
  // Passes an event to the core, and carries out the resulting actions.
  void Happened(std::function<void(SessionCore* core, absl::Time now)> event);
  void CarryOut(SessionAction action);
  void SendHeartbeat();
  void HandleNews(const SessionNews& news);
  void HandleDirective(uint64_t stream, Directive directive);

  const SessionOptions options_;
  const SessionCallbacks callbacks_;
  std::atomic<uint64_t> node_id_{0};
  std::atomic<uint64_t> session_opened_{0};  // the newest stream for which on_session_opened was called
  Event released_;
  Event refused_;
  absl::Mutex mutex_;
  absl::Status refusal_ ABSL_GUARDED_BY(mutex_);

  // Used only on the session's executor. Stop destroys link_ and stream_.
  SessionCore core_;
  std::unique_ptr<SchedulerLink> link_;
  std::unique_ptr<StreamEvents> events_;
  std::unique_ptr<SchedulerStream> stream_;

  const std::unique_ptr<Executor> session_;
  const std::unique_ptr<Executor> caller_;  // of the callbacks
};

}  // namespace shoal
