#include "server/snapshot_queue.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace shoal::server {
namespace {

int FactorsOfTwo(Version version) {
  int factors = 0;
  for (uint64_t rest = version.value(); rest != 0 && rest % 2 == 0; rest /= 2) ++factors;
  return factors;
}

}  // namespace

SnapshotQueue::Snapshot SnapshotQueue::Add(Snapshot snapshot, CheckpointUse use) {
  waiting_.push_back({std::move(snapshot), use});
  // A function of the versions alone, so that all servers make the same choice.
  const auto rank = [](const Waiting& waiting) {
    const Version version = waiting.snapshot->version;
    return std::make_tuple(waiting.use, FactorsOfTwo(version), version.value());
  };
  const auto less = [&](const Waiting& a, const Waiting& b) { return rank(a) < rank(b); };
  const auto bounded = std::count_if(waiting_.begin(), waiting_.end(),
                                     [](const Waiting& w) { return w.use != CheckpointUse::kResult; });
  if (bounded <= static_cast<std::ptrdiff_t>(kMaxWaiting)) return nullptr;
  const auto least = std::min_element(waiting_.begin(), waiting_.end(), less);
  Snapshot given_up = std::move(least->snapshot);
  waiting_.erase(least);
  return given_up;
}

bool SnapshotQueue::HasRoomForCandidate() const {
  const auto candidates = std::count_if(waiting_.begin(), waiting_.end(),
                                        [](const Waiting& w) { return w.use == CheckpointUse::kCandidate; });
  return candidates < static_cast<std::ptrdiff_t>(kMaxWaiting);
}

SnapshotQueue::Snapshot SnapshotQueue::Take() {
  if (waiting_.empty()) return nullptr;
  Snapshot next = std::move(waiting_.front().snapshot);
  waiting_.pop_front();
  return next;
}

uint64_t SnapshotQueue::bytes() const {
  uint64_t bytes = 0;
  for (const Waiting& waiting : waiting_) bytes += SizeBytes(*waiting.snapshot);
  return bytes;
}

}  // namespace shoal::server
