// Which shards' squared norms are known for a round.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <utility>
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
  // `counts`: the number of norms of each of the job's blocks.
  NormLedger(ShardMap map, std::vector<uint64_t> counts) : map_(map), counts_(std::move(counts)) {}

  // Rounds older than the last two are ignored. Errors: INVALID_ARGUMENT, without effect, when the shard or
  // the number of norms is wrong, or one is negative; DATA_LOSS when different norms (compared bit by bit)
  // have been received for this round and shard, and on every later call. An infinite or NaN norm counts like
  // any other: it is what an overflowed gradient gives, and a round that waited for a better one would never
  // end.
  absl::Status Add(Round round, uint32_t shard, std::vector<double> squared_norms);

  // The shard's norms for the round; nullptr when they are unknown or disputed.
  const std::vector<double>* Find(Round round, uint32_t shard) const;

  // The norms of each of the job's blocks, once all shards' are known. Valid until the next call of Add.
  std::optional<std::vector<absl::Span<const double>>> All(Round round) const;

 private:
  absl::Status Check(uint32_t shard, absl::Span<const double> squared_norms) const;

  uint64_t CountOf(uint32_t shard) const;

  ShardMap map_;
  std::vector<uint64_t> counts_;
  struct Known {
    std::vector<double> squared_norms;
    bool disputed = false;
  };
  std::map<Round, std::map<uint32_t, Known>> rounds_;  // by shard
};

}  // namespace shoal::server
