// A shard that can't get memory.
#include <atomic>
#include <cstdint>
#include <new>
#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "common/base/large_memory.h"
#include "server/shard_core_harness.h"

namespace shoal::server {
namespace {

// While it exists, all large allocations after the first `grant` fail.
class NoMemory {
 public:
  explicit NoMemory(int grant = 0) {
    left_ = grant;
    large_memory_refusal_for_test = [](uint64_t) { return left_-- <= 0; };
  }
  ~NoMemory() { large_memory_refusal_for_test = nullptr; }

 private:
  static inline std::atomic<int> left_{0};
};

TEST_CASE(
    "Whenever memory can't be had in a round, what needs it is refused, and the bits are the same later") {
  const std::vector<std::vector<SlotRange>> rounds(4, {{0, 1}, {1, 2}, {2, 3}, {3, 4}});
  for (double clip_norm : {0.0, 1.0}) {
    TestShards undisturbed(1, clip_norm);
    for (uint64_t round = 0; round < rounds.size(); ++round) undisturbed.PushAll(round, rounds[round]);
    const std::vector<float> expected = undisturbed.Theta(rounds.size());
    int refused = 0;
    for (int grant = 0; grant < 12; ++grant) {
      TestShards shards(1, clip_norm);
      for (uint64_t round = 0; round < rounds.size(); ++round) {
        for (uint64_t block = 0; block < shards.job->blocks.size(); ++block) {
          for (SlotRange node : rounds[round]) {
            absl::StatusOr<ContributionResult> result = ContributionResult::kDuplicate;
            {
              const NoMemory no_memory(grant);
              result = shards.Push(round, node, block);
            }
            if (result.ok()) continue;
            ++refused;
            CHECK(absl::IsResourceExhausted(result.status()));
            CHECK_THAT(std::string(result.status().message()),
                       Catch::Matchers::Contains("a contribution to block") &&
                           Catch::Matchers::Contains("can't allocate "));
            REQUIRE(shards.Push(round, node, block).ok());  // the worker sends it again
          }
        }
      }
      CHECK(shards.Theta(rounds.size()) == expected);
    }
    CHECK(refused > 0);
  }
}

TEST_CASE("A snapshot for which there is no memory is given up with its reason; the round goes on") {
  TestShards shards(1, /*clip_norm=*/0);
  shards.PushAll(0, {{0, 4}});
  for (uint64_t block = 0; block + 1 < shards.job->blocks.size(); ++block)
    REQUIRE(shards.Push(1, {0, 4}, block).ok());
  {
    const NoMemory no_memory(1);  // θ of the next version, or one of two arrays
    REQUIRE(shards.Push(1, {0, 4}, shards.job->blocks.size() - 1).ok());
  }
  CHECK(shards.snapshots.empty());
  REQUIRE(shards.lost.size() == 1);
  CHECK_THAT(shards.lost[0], Catch::Matchers::StartsWith("version 2: there is not enough memory for a copy"));
  shards.PushAll(2, {{0, 4}});
  shards.PushAll(3, {{0, 4}});
  CHECK(shards.snapshots.size() == 1);
  CHECK(shards.progresses.back().version() == 4);
}

TEST_CASE("A state for which there is no memory is refused, and loaded when there is") {
  TestShards shards(1);
  const auto no_memory = [] { throw std::bad_alloc(); };
  View view = shards.view;
  view.set_view(2);
  view.mutable_restore()->set_restore_id(2);
  SECTION("when it is opened") { shards.source.on_open = no_memory; }
  SECTION("when a block is loaded") { shards.source.on_read = no_memory; }
  CHECK(absl::IsResourceExhausted(shards.servers[0]->Install(view)));
  CHECK(shards.servers[0]->serving().view == ViewId(0));
  shards.source = RampSource();
  CHECK(shards.servers[0]->Install(view).ok());
}

}  // namespace
}  // namespace shoal::server
