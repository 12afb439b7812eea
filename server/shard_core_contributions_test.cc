// What a shard does with contributions: it adds each once, in an order that does not matter, and refuses what
// can't come from a correct worker.
#include <cmath>
#include <cstdint>
#include <vector>

#include "catch2/catch.hpp"
#include "common/base/flipped_bits.h"
#include "common/job/schedule.h"
#include "common/protocol/block_checksum.h"
#include "server/shard_core_harness.h"

namespace shoal::server {
namespace {

std::vector<float> ThetaAfter(uint32_t count, const std::vector<std::vector<SlotRange>>& rounds) {
  TestShards shards(count);
  for (uint64_t round = 0; round < rounds.size(); ++round) shards.PushAll(round, rounds[round]);
  return shards.Theta(rounds.size());
}

TEST_CASE("Every grouping and order of the slots, on any number of shards, gives the same bits") {
  const std::vector<SlotRange> whole = {{0, 4}}, leaves = {{3, 4}, {0, 1}, {2, 3}, {1, 2}},
                               mixed = {{2, 4}, {1, 2}, {0, 1}};
  const std::vector<float> expected = ThetaAfter(1, {whole, whole, whole});
  CHECK(ThetaAfter(1, {leaves, mixed, whole}) == expected);
  CHECK(ThetaAfter(3, {mixed, leaves, leaves}) == expected);
  CHECK(ThetaAfter(4, {whole, leaves, mixed}) == expected);
  CHECK(expected != ThetaAfter(1, {whole, whole}));
}

TEST_CASE("SGD's update is the formula") {
  TestShards shards(1, 0, OPTIMIZER_TYPE_SGD);
  const std::vector<float> before = shards.Theta(0);
  shards.PushAll(0, {{0, 4}});
  const std::vector<float> after = shards.Theta(1);
  const double rate = LearningRate(shards.job->spec, shards.job->length, Round(0));
  const std::vector<float> sum = NodeValue(0, {0, 4}, 0, kBlockElements);
  for (uint64_t i = 0; i < sum.size(); ++i)
    CHECK(after[i] == Approx(before[i] - rate * sum[i] / 8).margin(1e-7));
}

TEST_CASE("A contribution that is already covered, or for a round that is over, is dropped") {
  TestShards shards(1);
  REQUIRE(shards.Push(0, {0, 2}, 0).ok());
  CHECK(*shards.Push(0, {0, 1}, 0) == ContributionResult::kDuplicate);
  CHECK(*shards.Push(0, {0, 2}, 0) == ContributionResult::kDuplicate);
  shards.PushAll(0, {{2, 4}, {0, 2}});
  const std::vector<float> theta = shards.Theta(1);
  CHECK(*shards.Push(0, {0, 4}, 0) == ContributionResult::kDuplicate);
  CHECK(shards.Theta(1) == theta);
}

TEST_CASE("A worker whose slots were taken over by another changes nothing by pushing late") {
  TestShards shards(1), undisturbed(1);
  REQUIRE(shards.Push(0, {1, 2}, 0).ok());  // then it is cut off
  shards.InstallView(2);
  REQUIRE(shards.Push(0, {0, 2}, 0).ok());  // its successor computed both, as one
  REQUIRE(shards.Push(0, {1, 2}, 0).ok());
  shards.PushAll(0, {{2, 4}, {0, 2}});
  undisturbed.PushAll(0, {{0, 4}});
  CHECK(shards.Theta(1) == undisturbed.Theta(1));
}

TEST_CASE("What can't come from a correct worker is refused and changes nothing") {
  TestShards shards(2);
  const auto code = [&](ContributionHeader header, const Payload& payload) {
    header.set_crc32c(BlockChecksum(header, payload.Crc32c()));
    return shards.servers[0]->Contribute(header, payload).status().code();
  };
  const Payload good = shards.Content(0, {0, 1}, 0);
  ContributionHeader header = shards.Header(0, {0, 1}, 0);
  header.set_view(7);
  CHECK(code(header, good) == absl::StatusCode::kFailedPrecondition);
  header = shards.Header(0, {0, 1}, 0);
  header.set_training_id(8);
  CHECK(code(header, good) == absl::StatusCode::kFailedPrecondition);
  header = shards.Header(0, {0, 1}, 0);
  header.set_job(2);
  CHECK(code(header, good) == absl::StatusCode::kFailedPrecondition);
  CHECK(code(shards.Header(1, {0, 1}, 0), good) == absl::StatusCode::kFailedPrecondition);
  CHECK(code(shards.Header(0, {1, 3}, 0), good) == absl::StatusCode::kInvalidArgument);
  CHECK(code(shards.Header(0, {3, 9}, 0), good) == absl::StatusCode::kInvalidArgument);
  CHECK(code(shards.Header(0, {0, 1}, 1), good) == absl::StatusCode::kInvalidArgument);  // in another shard
  CHECK(code(shards.Header(0, {0, 1}, 99), good) == absl::StatusCode::kInvalidArgument);
  CHECK(code(shards.Header(0, {0, 1}, 0), Payload()) == absl::StatusCode::kInvalidArgument);
  header = shards.Header(0, {0, 1}, 0);
  header.set_wire(WIRE_FORMAT_BF16);
  CHECK(code(header, good) == absl::StatusCode::kInvalidArgument);
  CHECK(code(shards.Header(8, {0, 1}, 0), good) == absl::StatusCode::kInvalidArgument);  // of 8 rounds
  header = shards.Header(0, {0, 1}, 0);
  header.set_crc32c(BlockChecksum(header, good.Crc32c()) ^ 1);
  CHECK(shards.servers[0]->Contribute(header, good).status().code() == absl::StatusCode::kDataLoss);

  shards.PushAll(0, {{0, 4}});
  TestShards undisturbed(2);
  undisturbed.PushAll(0, {{0, 4}});
  CHECK(shards.Theta(1) == undisturbed.Theta(1));
}

TEST_CASE(
    "A contribution with one flipped bit in its header is refused, also one that looks like a duplicate") {
  TestShards shards(2), undisturbed(2);
  for (TestShards* each : {&shards, &undisturbed}) each->PushAll(0, {{0, 4}});
  REQUIRE(shards.Push(1, {0, 1}, 0).ok());  // a flipped bit in the slots may name it
  ContributionHeader header = shards.Header(1, {1, 2}, 0);
  const Payload payload = shards.Content(1, {1, 2}, 0);
  header.set_crc32c(BlockChecksum(header, payload.Crc32c()));
  int accepted = 0;
  ForEachFlippedBit(&header, [&] {
    if (shards.servers[0]->Contribute(header, payload).ok()) ++accepted;
  });
  CHECK(accepted == 0);
  shards.PushAll(1, {{1, 2}, {0, 1}, {2, 4}});
  undisturbed.PushAll(1, {{0, 4}});
  CHECK(shards.Theta(2) == undisturbed.Theta(2));
}

TEST_CASE("A contribution whose loss is not a number is accepted") {
  TestShards shards(1);
  for (uint64_t block = 0; block < shards.job->blocks.size(); ++block) {
    ContributionHeader header = shards.Header(0, {0, 4}, block);
    header.mutable_stats()->set_loss(std::nan(""));
    header.mutable_stats()->set_weight(0);
    const Payload payload = shards.Content(0, {0, 4}, block);
    header.set_crc32c(BlockChecksum(header, payload.Crc32c()));
    REQUIRE(shards.servers[0]->Contribute(header, payload).ok());
  }
  REQUIRE(shards.progresses.size() == 1);
  CHECK(std::isnan(shards.progresses[0].rounds(0).stats().loss()));
}

}  // namespace
}  // namespace shoal::server
