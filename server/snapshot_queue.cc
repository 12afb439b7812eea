#include "server/snapshot_queue.h"

#include <algorithm>
#include <utility>

namespace shoal::server {

SnapshotQueue::Snapshot SnapshotQueue::Add(Snapshot snapshot, CheckpointUse use) {
  waiting_.push_back({std::move(snapshot), use});
  const auto less = [](const Waiting& a, const Waiting& b) { return a.use < b.use; };
  const auto bounded = std::count_if(waiting_.begin(), waiting_.end(),
                                     [](const Waiting& w) { return w.use != CheckpointUse::kResult; });
  if (bounded <= static_cast<std::ptrdiff_t>(kMaxWaiting)) return nullptr;
  const auto least = std::min_element(waiting_.begin(), waiting_.end(), less);  // the first of equal ones
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
