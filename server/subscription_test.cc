#include "server/subscription.h"

#include <map>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "catch2/catch.hpp"

namespace shoal::server {
namespace {

// What a shard publishes: the last two versions of each block.
class Shard {
 public:
  explicit Shard(const std::vector<BlockId>& blocks) {
    for (BlockId block : blocks) at_[block] = Version(0);
  }

  void Publish(BlockId block) {
    absl::MutexLock lock(&mutex_);
    ++at_[block];
  }

  absl::StatusOr<PublishedVersion> Published(BlockId block, Version version) {
    absl::MutexLock lock(&mutex_);
    const Version at = at_.at(block);
    if (version > at) return absl::UnavailableError("not there yet");
    if (version + 1 < at) return absl::OutOfRangeError("gone");
    PublishedVersion published;
    published.version = version;
    return published;
  }

 private:
  absl::Mutex mutex_;
  std::map<BlockId, Version> at_ ABSL_GUARDED_BY(mutex_);
};

// "block:version" of everything available, in order, then the error if there is one.
std::vector<std::string> Drain(Subscription* subscription, Subscription::Lookup lookup) {
  std::vector<std::string> items;
  while (true) {
    const auto next = subscription->Next(lookup);
    if (!next.ok()) {
      items.push_back(std::string(next.status().message()));
      return items;
    }
    if (!*next) return items;
    items.push_back(absl::StrCat((*next)->block.value(), ":", (*next)->published.version.value()));
  }
}

using Items = std::vector<std::string>;

TEST_CASE("Lower versions come first, then front blocks, each version once") {
  const std::vector<BlockId> blocks = {BlockId(1), BlockId(3), BlockId(5)};
  Shard shard(blocks);
  const auto lookup = [&](BlockId block, Version version) { return shard.Published(block, version); };
  shard.Publish(BlockId(1));
  shard.Publish(BlockId(5));
  Subscription subscription(Version(0), blocks);
  CHECK(Drain(&subscription, lookup) == Items{"1:0", "3:0", "5:0", "1:1", "5:1"});
  subscription.Signal(BlockId(1));
  subscription.Signal(BlockId(2));  // not one of these
  CHECK(Drain(&subscription, lookup).empty());
  shard.Publish(BlockId(5));
  shard.Publish(BlockId(3));
  subscription.Signal(BlockId(5));
  subscription.Signal(BlockId(3));
  CHECK(Drain(&subscription, lookup) == Items{"3:1", "5:2"});
}

TEST_CASE("A version that is published during a lookup of another is not lost") {
  // The worst moment: between the lookup that misses version 5 and the next signal, versions 5 and 6 are
  // published, and their signals come in any order.
  Shard shard({BlockId(0)});
  for (int i = 0; i < 4; ++i) shard.Publish(BlockId(0));
  Subscription subscription(Version(5), std::vector<BlockId>{BlockId(0)});
  bool published = false;
  const auto lookup = [&](BlockId block, Version version) {
    auto found = shard.Published(block, version);
    if (!std::exchange(published, true)) {
      shard.Publish(block);
      shard.Publish(block);
    }
    return found;
  };
  CHECK(Drain(&subscription, lookup).empty());
  subscription.Signal(BlockId(0));
  CHECK(Drain(&subscription, lookup) == Items{"0:5", "0:6"});
  subscription.Signal(BlockId(0));
  CHECK(Drain(&subscription, lookup).empty());
}

TEST_CASE("A subscriber whose version is gone gets an error") {
  Shard shard({BlockId(0)});
  Subscription subscription(Version(0), std::vector<BlockId>{BlockId(0)});
  for (int i = 0; i < 2; ++i) shard.Publish(BlockId(0));
  const auto lookup = [&](BlockId block, Version version) { return shard.Published(block, version); };
  CHECK(Drain(&subscription, lookup) == Items{"gone"});
  CHECK(absl::IsOutOfRange(subscription.Next(lookup).status()));
}

TEST_CASE("No version is lost between a publisher and a subscriber that starts in the middle") {
  constexpr uint64_t kLast = 2000;
  const std::vector<BlockId> blocks = {BlockId(0), BlockId(1)};
  Shard shard(blocks);
  absl::Mutex mutex;  // guards what follows
  Subscription subscription(Version(0), blocks);
  bool subscribed = false;
  uint64_t received[2] = {0, 0};  // versions of each block

  // Like a server's stream: looks up the next version, which may not be available yet.
  const auto look = [&] {
    const auto next =
        subscription.Next([&](BlockId block, Version version) { return shard.Published(block, version); });
    if (!next.ok() || !*next) return false;
    uint64_t& expected = received[(*next)->block.value()];
    return (*next)->published.version == Version(expected++);
  };
  const auto publish = [&](uint64_t block) {
    for (uint64_t version = 1; version <= kLast; ++version) {
      shard.Publish(BlockId(block));
      absl::MutexLock lock(&mutex);
      if (subscribed) subscription.Signal(BlockId(block));
      // A worker has version t before any server has version t+2.
      const auto caught_up = [&] { return received[block] >= version; };
      mutex.Await(absl::Condition(&caught_up));
    }
  };
  std::thread first([&] { publish(0); }), second([&] { publish(1); });
  {
    absl::MutexLock lock(&mutex);
    subscribed = true;
  }
  uint64_t total = 0;
  while (total < 2 * (kLast + 1)) {
    absl::MutexLock lock(&mutex);
    if (look()) ++total;
  }
  first.join();
  second.join();
  CHECK(received[0] == kLast + 1);
  CHECK(received[1] == kLast + 1);
}

}  // namespace
}  // namespace shoal::server
