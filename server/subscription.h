// What one worker's Pull still has to get, block by block.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/base/types.h"
#include "server/published.h"

namespace shoal::server {

// A cursor for each block: the version that is owed next. A publication is just a signal to look again; the
// version comes from where it is kept, in order, so no order of signals and looks can lose or repeat one.
//
// Pure; not thread-safe. Holds no version itself, so a reader that stands still pins no memory.
class Subscription {
 public:
  // From version `from` on, of each of `blocks`.
  Subscription(Version from, absl::Span<const BlockId> blocks);

  // The block has, or may have, a version that was not there before. To be called after the version can be
  // looked up. Blocks of other subscriptions are ignored.
  void Signal(BlockId block);

  struct Item {
    BlockId block;
    PublishedVersion published;
  };
  // Looks a version up, as ShardCore::Published does: UNAVAILABLE when it is not there yet.
  using Lookup = absl::FunctionRef<absl::StatusOr<PublishedVersion>(BlockId, Version)>;

  // The next one to be sent, of those that are there: lower versions first, then front blocks first. None:
  // ask again after the next signal. Errors: the lookup's, other than UNAVAILABLE: OUT_OF_RANGE when a
  // version that is owed is gone, so that the worker must start anew.
  absl::StatusOr<std::optional<Item>> Next(Lookup lookup);

 private:
  std::map<BlockId, Version> next_;                // owed next, by block
  std::set<std::pair<Version, BlockId>> to_look_;  // of next_, those that may be there
};

}  // namespace shoal::server
