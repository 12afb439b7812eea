// Where a shard's state comes from when a restore point is new.
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

// A block's state, to be filled in. Borrowed; the spans have the block's size.
struct BlockContents {
  absl::Span<float> theta;
  std::vector<absl::Span<float>> moments;  // in the order of ShardConfig::moment_names; zero before
};

// State of one restore point, block by block. Thread-safe, unless in_order().
class StateReader {
 public:
  virtual ~StateReader() = default;
  // Errors: DATA_LOSS or NOT_FOUND when the restore point's files are damaged or gone, so that no other
  // server could read them either; what the files' system says.
  virtual absl::Status Read(BlockId block, const BlockContents& out) = 0;

  // Each block must be read once, ascending, by one thread: so files are read from front to end and their
  // digests compared on the way. What was read counts only when all of it was.
  virtual bool in_order() const { return false; }
};

class StateSource {
 public:
  virtual ~StateSource() = default;
  // `blocks` are the ones that will be read. Errors: as StateReader::Read; what else keeps the restore point
  // from being read, for people.
  virtual absl::StatusOr<std::unique_ptr<StateReader>> Open(const RestorePoint& restore,
                                                            absl::Span<const BlockId> blocks) = 0;
};

}  // namespace shoal::server
