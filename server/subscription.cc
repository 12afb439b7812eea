#include "server/subscription.h"

#include "absl/status/status.h"

namespace shoal::server {

Subscription::Subscription(Version from, absl::Span<const BlockId> blocks) {
  for (BlockId block : blocks) {
    next_.emplace(block, from);
    to_look_.emplace(from, block);
  }
}

void Subscription::Signal(BlockId block) {
  const auto found = next_.find(block);
  if (found != next_.end()) to_look_.emplace(found->second, block);
}

absl::StatusOr<std::optional<Subscription::Item>> Subscription::Next(Lookup lookup) {
  while (!to_look_.empty()) {
    const auto [version, block] = *to_look_.begin();
    absl::StatusOr<PublishedVersion> published = lookup(block, version);
    if (!published.ok() && !absl::IsUnavailable(published.status())) return published.status();
    to_look_.erase(to_look_.begin());
    if (!published.ok()) continue;  // a signal will follow
    next_[block] = version + 1;
    to_look_.emplace(version + 1, block);
    return Item{block, *std::move(published)};
  }
  return std::nullopt;
}

}  // namespace shoal::server
