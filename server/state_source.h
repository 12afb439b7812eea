// Where a shard's state comes from when a restore point is new.
#pragma once

#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/blocks.h"
#include "common/types.h"
#include "proto/scheduler.pb.h"

namespace shoal::server {

// A block's state, to be filled in. Borrowed; the spans have the block's size.
struct BlockContents {
  absl::Span<float> theta;
  std::vector<absl::Span<float>> moments;  // in the order of ShardJob::moment_names; zero before
};

// State of one restore point, block by block. Thread-safe.
class StateReader {
 public:
  virtual ~StateReader() = default;
  virtual absl::Status Read(BlockId block, const BlockContents& out) = 0;
};

class StateSource {
 public:
  virtual ~StateSource() = default;
  // `blocks` are the ones that will be read. Errors: what keeps the restore point from being read, for
  // people.
  virtual absl::StatusOr<std::unique_ptr<StateReader>> Open(const RestorePoint& restore,
                                                            absl::Span<const BlockId> blocks) = 0;
};

}  // namespace shoal::server
