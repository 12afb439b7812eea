// A node's side of its session with the scheduler ("Nodes" in docs/protocol.md): joins, keeps one stream
// open, sends a heartbeat, and starts anew when its lease has ended.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/backoff.h"
#include "grpcpp/grpcpp.h"
#include "proto/scheduler.grpc.pb.h"

namespace shoal {

// All callbacks come from one thread of the client, one at a time, in the order of what happened. They may
// block (no heartbeat is missed meanwhile, but later directives wait) and may call Send.
struct SessionCallbacks {
  // The node has an id: at the start, and again after on_lease_lost.
  std::function<void(const JoinResponse&)> on_joined;
  // A session stands (again): the scheduler may have missed or forgotten reports, so report all state anew.
  std::function<void()> on_session_opened;
  std::function<void(const Directive&)> on_directive;
  // The scheduler has given the node up: drop all state. It joins anew right after.
  std::function<void()> on_lease_lost;
};

struct SessionOptions {
  std::shared_ptr<grpc::Channel> channel;  // to the scheduler
  std::string scheduler;                   // its address, for messages
  JoinRequest join;
  absl::Duration join_timeout = absl::Seconds(5);  // of one attempt
  BackoffOptions backoff;                          // between attempts
};

// Thread-safe.
class SessionClient {
 public:
  // Starts joining in the background; attempts go on until one succeeds.
  SessionClient(SessionOptions options, SessionCallbacks callbacks);
  // Stops.
  ~SessionClient();
  SessionClient(const SessionClient&) = delete;
  SessionClient& operator=(const SessionClient&) = delete;

  // Queues a report for the session that stands; never blocks. Dropped when none stands: on_session_opened
  // follows.
  void Send(NodeReport report) ABSL_LOCKS_EXCLUDED(mutex_);

  // Waits until all reports queued so far are handed to the transport, the session is broken, or `timeout`
  // has passed.
  void Flush(absl::Duration timeout) ABSL_LOCKS_EXCLUDED(mutex_);

  // Asks the scheduler to give this node's work to others, and returns when it has let the node go, at once
  // when it has never known it, or after `timeout`.
  void Leave(absl::Duration timeout) ABSL_LOCKS_EXCLUDED(mutex_);

  // Waits until the scheduler has refused this node for good (the error), or `timeout` has passed (OK).
  absl::Status WaitRefused(absl::Duration timeout) ABSL_LOCKS_EXCLUDED(mutex_);

  // Ends the session; no callback runs after it has returned. Not to be called from a callback.
  void Stop() ABSL_LOCKS_EXCLUDED(mutex_);

  // 0 while not joined.
  uint64_t node_id() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  using Stream = grpc::ClientReaderWriter<NodeReport, Directive>;
  enum class SessionEnd { kBroken, kLeaseLost, kStopped };

  void RunReader();
  void RunWriter();
  bool JoinUntilDone(Backoff* backoff);
  absl::Status JoinOnce();
  SessionEnd RunSession(Backoff* backoff);
  void OpenStream(grpc::ClientContext* context, Stream* stream);
  void CloseStream();
  bool WriteNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool WaitForWork() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool Pause(absl::Duration delay) ABSL_LOCKS_EXCLUDED(mutex_);
  bool SetContext(grpc::ClientContext* context) ABSL_LOCKS_EXCLUDED(mutex_);

  const SessionOptions options_;
  const SessionCallbacks callbacks_;
  const std::unique_ptr<SchedulerService::Stub> stub_;

  mutable absl::Mutex mutex_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool released_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status refused_ ABSL_GUARDED_BY(mutex_);
  JoinResponse joined_ ABSL_GUARDED_BY(mutex_);
  std::deque<NodeReport> queue_ ABSL_GUARDED_BY(mutex_);
  Stream* stream_ ABSL_GUARDED_BY(mutex_) = nullptr;  // takes reports; null: none stands
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;      // the writer is inside Write
  absl::Time last_write_ ABSL_GUARDED_BY(mutex_);
  grpc::ClientContext* context_ ABSL_GUARDED_BY(mutex_) = nullptr;  // of the call that runs, to cancel it
  std::thread reader_;
  std::thread writer_;
};

}  // namespace shoal
