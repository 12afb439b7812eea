// Where a shard's state comes from when it starts from a new restore point.
#pragma once

#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/base/types.h"
#include "common/protocol/blocks.h"
#include "proto/scheduler.pb.h"

namespace shoal::server {

// A block's state, to be filled in by the reader. Borrowed.
struct BlockContents {
  absl::Span<float> theta;
  std::vector<absl::Span<float>> arrays;  // in the order of ShardConfig::array_names; initially zero
};

// State of one restore point, block by block. Thread-safe, unless in_order().
class StateReader {
 public:
  virtual ~StateReader() = default;
  // Errors: DATA_LOSS or NOT_FOUND when the restore point's files are damaged or missing, so that no other
  // server could read them either; errors of the file system.
  virtual absl::Status Read(BlockId block, const BlockContents& out) = 0;

  // If true, each block must be read once, in ascending order, by one thread, so that files are read from
  // front to back and their digests compared on the way. Nothing that was read is valid until all of it has
  // been read.
  virtual bool in_order() const { return false; }
};

class StateSource {
 public:
  virtual ~StateSource() = default;
  // `blocks` are the ones that will be read. Errors: as StateReader::Read; any other reason why the restore
  // point can't be read, as text for users.
  virtual absl::StatusOr<std::unique_ptr<StateReader>> Open(const RestorePoint& restore,
                                                            absl::Span<const BlockId> blocks) = 0;
};

}  // namespace shoal::server
