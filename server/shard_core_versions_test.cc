// The versions of a shard: which are kept, what is reported of each, and which become checkpoints.
#include <cstdint>
#include <map>
#include <vector>

#include "catch2/catch.hpp"
#include "server/shard_core_harness.h"

namespace shoal::server {
namespace {

TEST_CASE("Two versions are kept; older and future ones give different errors") {
  TestShards shards(1);
  for (uint64_t round = 0; round < 3; ++round) shards.PushAll(round, {{0, 4}});
  const auto code = [&](uint64_t version) {
    return shards.servers[0]->Published(Key(1), BlockId(0), Version(version)).status().code();
  };
  CHECK(code(1) == absl::StatusCode::kOutOfRange);
  CHECK(code(2) == absl::StatusCode::kOk);
  CHECK(code(3) == absl::StatusCode::kOk);
  CHECK(code(4) == absl::StatusCode::kUnavailable);
  CHECK(code(5) == absl::StatusCode::kOutOfRange);
}

TEST_CASE("Progress, statistics and snapshots come once per version, complete") {
  TestShards shards(2);
  shards.PushAll(0, {{0, 2}, {2, 4}});
  shards.PushAll(1, {{0, 4}});
  REQUIRE(shards.progresses.size() == 4);
  int rounds = 0;
  for (const ShardProgress& progress : shards.progresses) rounds += progress.rounds_size();
  CHECK(rounds == 2);  // of shard 0 alone
  for (const ShardProgress& progress : shards.progresses) {
    for (const RoundStats& round : progress.rounds()) {
      CHECK(round.stats().weight() == 8);
      CHECK(round.gradient_norm() > 0);
    }
  }
  REQUIRE(shards.snapshots.size() == 2);  // version 2, each shard
  std::map<uint64_t, FloatArray> blocks;
  for (const auto& snapshot : shards.snapshots) {
    CHECK(snapshot->version == Version(2));
    for (const BlockSnapshot& block : snapshot->blocks) {
      CHECK(block.arrays.size() == 2);
      blocks[block.block.value()] = block.theta;
    }
  }
  CHECK(blocks.size() == shards.job->blocks.size());
  const std::vector<float> theta = shards.Theta(2);
  CHECK(blocks[0].get()[3] == theta[3]);
}

TEST_CASE("An update that leads to a checkpoint waits until there is room for it") {
  const double clip_norm = GENERATE(0.0, 1.0);
  TestShards shards(2, clip_norm), undisturbed(2, clip_norm);
  for (TestShards* each : {&shards, &undisturbed}) each->PushAll(0, {{0, 4}});
  shards.room = false;
  shards.PushAll(1, {{0, 4}});
  for (const auto& server : shards.servers) {
    server->ResumeUpdates();
    CHECK(server->Versions(Key(1))->highest == Version(1));
  }
  CHECK(shards.snapshots.empty());
  shards.room = true;
  for (const auto& server : shards.servers) server->ResumeUpdates();
  CHECK(shards.snapshots.size() == 2);
  undisturbed.PushAll(1, {{0, 4}});
  CHECK(shards.Theta(2) == undisturbed.Theta(2));
  shards.PushAll(2, {{0, 4}});
  CHECK(shards.servers[0]->Versions(Key(1))->lowest == Version(3));
}

}  // namespace
}  // namespace shoal::server
