// The network between a node's session and the scheduler: gRPC (common/rpc/grpc_scheduler_link.h), or the
// simulated network of tests/simulation.
#pragma once

#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "proto/scheduler.pb.h"

namespace shoal {

// The events of one stream. Called from any thread, one at a time, never from within a call to the stream or
// the link.
class SchedulerStreamEvents {
 public:
  virtual ~SchedulerStreamEvents() = default;
  // The scheduler has accepted the Hello. At most once.
  virtual void OnOpened() = 0;
  // The next directive comes after SchedulerStream::ReadOn.
  virtual void OnDirective(Directive directive) = 0;
  // The Hello, or the report of the last Write, has been handed to the network.
  virtual void OnWritten() = 0;
  // The stream has ended; the last event. FAILED_PRECONDITION: the node's lease has ended.
  virtual void OnClosed(const absl::Status& status) = 0;
};

// One session. The destructor ends it: once it has returned, no event is running or will come. Must not be
// destroyed by one of its events.
class SchedulerStream {
 public:
  virtual ~SchedulerStream() = default;
  // Call it only after OnWritten. Never blocks.
  virtual void Write(NodeReport report) = 0;
  virtual void ReadOn() = 0;
};

// Thread-safe.
class SchedulerLink {
 public:
  // Cancels a running Join: once it has returned, `done` is not running and will not be called. Destroy all
  // streams first.
  virtual ~SchedulerLink() = default;

  // One at a time. Calls `done` once, from any thread, not from within this call. Errors: the scheduler's;
  // UNIMPLEMENTED when another program answers at its address.
  virtual void Join(const JoinRequest& request, absl::Duration timeout,
                    std::function<void(absl::StatusOr<JoinResponse>)> done) = 0;

  // `events` must outlive the stream.
  virtual std::unique_ptr<SchedulerStream> Open(const Hello& hello, SchedulerStreamEvents* events) = 0;
};

}  // namespace shoal
