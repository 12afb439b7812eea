// The interface below worker/retrying_link.h: streams to parameter servers, over gRPC or in simulated time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/executor.h"
#include "common/base/types.h"
#include "common/protocol/view_key.h"
#include "proto/parameter.pb.h"
#include "worker/parameter_link.h"

namespace shoal::worker {

// Identifies a stream.
struct StreamPlace {
  std::string address;
  ViewKey view;
  uint32_t shard = 0;
  uint64_t generation = 0;  // distinguishes the streams of one Open from older ones
};

// The events of streams. Any thread, one call per stream at a time; never from inside a call to
// ParameterStreams or to a stream.
class StreamEvents {
 public:
  virtual ~StreamEvents() = default;
  // A pull has delivered an intact block; it is offered next.
  virtual void OnDelivery(const StreamPlace& place) = 0;
  // As in ParameterLinkEvents.
  virtual bool OnBlock(const PublishedHeader& header, const BlockStore& store) = 0;
  // The stream has ended: its last call, even if it was cancelled.
  virtual void OnPullDone(const StreamPlace& place, const absl::Status& status) = 0;
  virtual void OnPushDone(const StreamPlace& place, const absl::Status& status) = 0;
  // The answer to AskVersions: the lowest version.
  virtual void OnVersionsDone(const StreamPlace& place, const absl::StatusOr<Version>& lowest) = 0;
};

// All of these are thread-safe and never block.

class PullStreamHandle {
 public:
  virtual ~PullStreamHandle() = default;
  virtual void Cancel() = 0;
  // Offers the waiting block again, if any.
  virtual void Resume() = 0;
};

class PushStreamHandle {
 public:
  virtual ~PushStreamHandle() = default;
  virtual void Cancel() = 0;
  // Queues it; the caller limits what waits (WorkerRounds).
  virtual void Push(BlockContribution contribution) = 0;
};

class ParameterStreams {
 public:
  // Cancels everything and waits until no more events can come.
  virtual ~ParameterStreams() = default;
  // Handles may be dropped at any time; the stream continues until it is cancelled or breaks.
  virtual std::shared_ptr<PullStreamHandle> Pull(const StreamPlace& place, Version from) = 0;
  virtual std::shared_ptr<PushStreamHandle> Push(const StreamPlace& place) = 0;
  // Ends after kVersionsTimeout at the latest.
  virtual void AskVersions(const StreamPlace& place) = 0;
  static constexpr absl::Duration kVersionsTimeout = absl::Seconds(2);
};

}  // namespace shoal::worker
