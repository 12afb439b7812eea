// What one worker's Pull still has to receive, block by block.
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

// A cursor for each block: the version to send next. A publication is only a signal to look again; versions
// are looked up where they are stored, in order, so no interleaving of signals and lookups can lose or repeat
// one.
//
// Pure; not thread-safe. Holds no version itself, so a stalled reader pins no memory.
class Subscription {
 public:
  // Every version of each of `blocks`, from `from` on.
  Subscription(Version from, absl::Span<const BlockId> blocks);

  // The block has, or may have, a new version. Call after the version can be looked up. Blocks that are not
  // part of this subscription are ignored.
  void Signal(BlockId block);

  struct Item {
    BlockId block;
    PublishedVersion published;
  };
  // Looks a version up, as ShardCore::Published does: UNAVAILABLE when it is the next one.
  using Lookup = absl::FunctionRef<absl::StatusOr<PublishedVersion>(BlockId, Version)>;

  // The next available version to send: lower versions first, then front blocks first. nullopt: call again
  // after the next signal. Errors: those of the lookup other than UNAVAILABLE, e.g. OUT_OF_RANGE when a
  // version still to be sent has been dropped, or is later than the next one, so that the worker must start
  // over.
  absl::StatusOr<std::optional<Item>> Next(Lookup lookup);

 private:
  std::map<BlockId, Version> next_;                // to be sent next, by block
  std::set<std::pair<Version, BlockId>> to_look_;  // the entries of next_ that may be available
};

}  // namespace shoal::server
