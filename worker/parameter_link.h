// The worker's end of the data plane, as seen by the job: one link per job, to all shards of the current
// view.
#pragma once

#include <cstdint>
#include <functional>

#include "absl/status/status.h"
#include "common/base/types.h"
#include "proto/parameter.pb.h"
#include "proto/scheduler.pb.h"
#include "worker/block_memory.h"
#include "worker/unit_reducer.h"

namespace shoal::worker {

// One block of a contribution to push.
struct BlockContribution {
  ContributionHeader header;      // the link fills in job, training, view, wire and checksum
  GradientBuffer gradient;        // kept alive until it is sent
  const float* values = nullptr;  // the block's elements in `gradient`
  uint64_t size = 0;
};

// What arrives on the link. Called from the link's threads, one call per stream at a time.
class ParameterLinkEvents {
 public:
  virtual ~ParameterLinkEvents() = default;
  virtual void OnVersions(ViewId view, uint32_t shard, Version lowest) = 0;
  // Returns false when the block's buffer is in use: the
  // link then keeps the block, stops reading its stream, and offers the block again after Resume().
  virtual bool OnBlock(const PublishedHeader& header, const BlockStore& store) = 0;
  virtual void OnOutOfRange(ViewId view) = 0;
  // The version from which a broken pull stream continues.
  virtual Version PullFrom() = 0;
  // The push stream of a shard broke and was reopened: what is held for the shard must be pushed again.
  virtual void OnPushReopened(ViewId view, uint32_t shard) = 0;
};

// Never blocks; retries with backoff until the next view or Disconnect. Thread-safe.
class ParameterLink {
 public:
  virtual ~ParameterLink() = default;
  // From now on only this view counts: streams of older views are cancelled.
  virtual void SetView(const View& view) = 0;
  // The lowest version of each shard arrives as OnVersions.
  virtual void AskVersions() = 0;
  // Pulls from every shard, from version `from` on, and opens the push streams.
  virtual void Open(Version from) = 0;
  // To the shard that has the block.
  virtual void Push(BlockContribution contribution) = 0;
  // Offers the blocks again that OnBlock refused.
  virtual void Resume() = 0;
  // Cancels all streams of the view.
  virtual void Disconnect() = 0;
  // Adds the peers of the current view that can't be reached.
  virtual void AddTo(Heartbeat*) const {}
};

}  // namespace shoal::worker
