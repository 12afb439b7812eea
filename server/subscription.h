// What one worker's Pull still has to get: front blocks first, each version of a block once.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "common/types.h"
#include "server/published.h"

namespace shoal::server {

// Pure; not thread-safe.
class Subscription {
 public:
  // `blocks` of the whole job.
  Subscription(Version from, size_t blocks) : next_(blocks, from) {}

  // A version that is there. One that was sent, or waits, already is dropped. Errors: OUT_OF_RANGE when
  // versions of the block were dropped before they could be sent: the worker must start anew.
  absl::Status Add(BlockId block, const PublishedVersion& published);

  struct Item {
    BlockId block;
    PublishedVersion published;
  };
  // The next one to be sent: lower versions first, then front blocks first.
  std::optional<Item> Next();

 private:
  // Two versions of a block are kept; a worker that is behind further has missed what it needs.
  static constexpr uint64_t kMostBehind = 2;

  std::vector<Version> next_;  // by block: all versions below are sent or wait
  std::map<std::pair<Version, BlockId>, PublishedVersion> waiting_;
};

}  // namespace shoal::server
