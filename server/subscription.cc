#include "server/subscription.h"

namespace shoal::server {

absl::Status Subscription::Add(BlockId block, const PublishedVersion& published) {
  Version& next = next_[block.value()];
  if (published.version < next) return absl::OkStatus();
  const auto oldest = waiting_.lower_bound({Version(0), BlockId(0)});
  if (oldest != waiting_.end() && published.version >= oldest->first.first + kMostBehind + 1) {
    return absl::OutOfRangeError("this worker is too far behind: it starts from the newest version");
  }
  waiting_[{published.version, block}] = published;
  next = published.version + 1;
  return absl::OkStatus();
}

std::optional<Subscription::Item> Subscription::Next() {
  if (waiting_.empty()) return std::nullopt;
  auto first = waiting_.begin();
  Item item = {first->first.second, std::move(first->second)};
  waiting_.erase(first);
  return item;
}

}  // namespace shoal::server
