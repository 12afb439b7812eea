// Global-norm clipping: which shards' squared norms are known for a round.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "common/base/types.h"
#include "common/protocol/shard_map.h"

namespace shoal::server {

// Pure; not thread-safe. Norms are functions of the round's sums, so receiving them twice, even in
// different views, changes nothing. When a shard has sent two different values, one of them is wrong and
// there is no telling which: from then on that shard counts as having sent none, and the round does not go
// on. Keeps the last two rounds, for peers that ask late.
class NormLedger {
 public:
  NormLedger(ShardMap map, uint32_t blocks) : map_(map), blocks_(blocks) {}

  // Rounds older than the last two are ignored. Errors: INVALID_ARGUMENT, without effect, when the shard or
  // the number of norms is wrong, or one is negative; DATA_LOSS when different norms (compared bit by bit)
  // have been received for this round and shard, and on every later call. An infinite or NaN norm counts like
  // any other: it is what an overflowed gradient gives, and a round that waited for a better one would never
  // end.
  absl::Status Add(Round round, uint32_t shard, std::vector<double> squared_norms);

  // The shard's norms for the round; nullptr when they are unknown or disputed.
  const std::vector<double>* Find(Round round, uint32_t shard) const;

  // Sum over all blocks in block order (f64), once all shards' norms are known.
  std::optional<double> Total(Round round) const;

 private:
  absl::Status Check(uint32_t shard, absl::Span<const double> squared_norms) const;

  ShardMap map_;
  uint32_t blocks_;
  struct Known {
    std::vector<double> squared_norms;
    bool disputed = false;
  };
  std::map<Round, std::map<uint32_t, Known>> rounds_;  // by shard
};

}  // namespace shoal::server
