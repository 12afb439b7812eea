#include "server/norm_ledger.h"

#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace shoal::server {
namespace {

// For two lists of the same length.
bool SameBits(const std::vector<double>& a, const std::vector<double>& b) {
  return std::memcmp(a.data(), b.data(), a.size() * sizeof(double)) == 0;
}

}  // namespace

// Of all the shard's blocks.
uint64_t NormLedger::CountOf(uint32_t shard) const {
  uint64_t count = 0;
  for (BlockId block : map_.BlocksOf(shard, counts_.size())) count += counts_[block.value()];
  return count;
}

absl::Status NormLedger::Check(uint32_t shard, absl::Span<const double> squared_norms) const {
  if (shard >= map_.shards()) {
    return absl::InvalidArgumentError(
        absl::StrCat("norms of shard ", shard, ": there are ", map_.shards(), " shards"));
  }
  if (squared_norms.size() != CountOf(shard)) {
    return absl::InvalidArgumentError(absl::StrCat("norms of shard ", shard, ": got ", squared_norms.size(),
                                                   ", expected ", CountOf(shard)));
  }
  for (double squared_norm : squared_norms) {
    if (squared_norm < 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("norms of shard ", shard, ": ", squared_norm, ", expected a non-negative number"));
    }
  }
  return absl::OkStatus();
}

absl::Status NormLedger::Add(Round round, uint32_t shard, std::vector<double> squared_norms) {
  SHOAL_RETURN_IF_ERROR(Check(shard, squared_norms));
  if (!rounds_.empty() && round + 2 <= rounds_.rbegin()->first) return absl::OkStatus();
  const auto at = rounds_[round].find(shard);
  if (at == rounds_[round].end()) {
    rounds_[round][shard].squared_norms = std::move(squared_norms);
  } else if (at->second.disputed || !SameBits(at->second.squared_norms, squared_norms)) {
    at->second.disputed = true;
    return absl::DataLossError(absl::StrCat("norms of shard ", shard, " in round ", round.value(),
                                            ": two different values were received, so neither is used"));
  }
  while (rounds_.begin()->first + 2 <= rounds_.rbegin()->first) rounds_.erase(rounds_.begin());
  return absl::OkStatus();
}

const std::vector<double>* NormLedger::Find(Round round, uint32_t shard) const {
  const auto known = rounds_.find(round);
  if (known == rounds_.end()) return nullptr;
  const auto norms = known->second.find(shard);
  if (norms == known->second.end() || norms->second.disputed) return nullptr;
  return &norms->second.squared_norms;
}

std::optional<std::vector<absl::Span<const double>>> NormLedger::All(Round round) const {
  for (uint32_t shard = 0; shard < map_.shards(); ++shard) {
    if (CountOf(shard) > 0 && Find(round, shard) == nullptr) return std::nullopt;
  }
  std::vector<absl::Span<const double>> all(counts_.size());
  for (uint32_t shard = 0; shard < map_.shards(); ++shard) {
    const double* next = CountOf(shard) > 0 ? Find(round, shard)->data() : nullptr;
    for (BlockId block : map_.BlocksOf(shard, counts_.size())) {
      const uint64_t count = counts_[block.value()];
      all[block.value()] = {next, count};
      next += count;
    }
  }
  return all;
}

}  // namespace shoal::server
