// What shards tell each other of their norms, and what waits for it.
#include <algorithm>
#include <cstdint>
#include <functional>
#include <limits>
#include <vector>

#include "catch2/catch.hpp"
#include "common/base/flipped_bits.h"
#include "common/protocol/block_checksum.h"
#include "server/shard_core_harness.h"

namespace shoal::server {
namespace {

// What shard 1 of two would answer.
Norms PeerNorms(const TestShards& shards, uint64_t round, double norm) {
  Norms norms;
  SetKey(KeyOf(shards.view), &norms);
  norms.set_round(round);
  norms.set_shard(1);
  for (uint64_t block = 1; block < shards.job->blocks.size(); block += 2) norms.add_squared_norms(norm);
  norms.set_crc32c(NormsChecksum(norms));
  return norms;
}

absl::StatusCode GiveNorms(TestShards* shards, Norms norms) {
  norms.set_crc32c(NormsChecksum(norms));
  return shards->servers[0]->OnNorms(norms).code();
}

TEST_CASE("Norms that can't come from a correct peer are refused and change nothing") {
  TestShards shards(2);
  shards.deliver_norms = false;
  shards.PushAll(0, {{0, 4}});
  const Norms good = PeerNorms(shards, 0, 1.5);
  Norms norms = good;
  norms.set_shard(0);  // the receiver's own
  CHECK(GiveNorms(&shards, norms) == absl::StatusCode::kInvalidArgument);
  norms.set_shard(2);
  CHECK(GiveNorms(&shards, norms) == absl::StatusCode::kInvalidArgument);
  norms = good;
  norms.add_squared_norms(1);
  CHECK(GiveNorms(&shards, norms) == absl::StatusCode::kInvalidArgument);
  norms = good;
  norms.set_squared_norms(0, -1e-9);
  CHECK(GiveNorms(&shards, norms) == absl::StatusCode::kInvalidArgument);
  norms = good;
  norms.set_round(1);
  CHECK(GiveNorms(&shards, norms) == absl::StatusCode::kFailedPrecondition);
  norms = good;
  norms.set_view(2);
  CHECK(GiveNorms(&shards, norms) == absl::StatusCode::kFailedPrecondition);
  norms = good;
  norms.set_training_id(2);
  CHECK(GiveNorms(&shards, norms) == absl::StatusCode::kFailedPrecondition);
  norms = good;
  int accepted = 0;
  ForEachFlippedBit(&norms, [&] {
    if (shards.servers[0]->OnNorms(norms).ok()) ++accepted;
  });
  CHECK(accepted == 0);
  CHECK(shards.servers[0]->Versions(Key(1))->highest == Version(0));
}

TEST_CASE("A round of which a peer has told two different norms does not go on, in no view of its state") {
  TestShards shards(2);
  shards.deliver_norms = false;
  CHECK(GiveNorms(&shards, PeerNorms(shards, 0, 1.5)) == absl::StatusCode::kOk);
  CHECK(GiveNorms(&shards, PeerNorms(shards, 0, 1.5)) == absl::StatusCode::kOk);
  CHECK(GiveNorms(&shards, PeerNorms(shards, 0, 1.25)) == absl::StatusCode::kDataLoss);
  shards.PushAll(0, {{0, 4}});
  CHECK(GiveNorms(&shards, PeerNorms(shards, 0, 1.5)) == absl::StatusCode::kDataLoss);
  shards.asked.clear();
  shards.InstallView(2);
  CHECK(std::count(shards.asked.begin(), shards.asked.end(), 1) == 1);  // so that it is reported again
  CHECK(GiveNorms(&shards, PeerNorms(shards, 0, 1.5)) == absl::StatusCode::kDataLoss);
  CHECK(shards.servers[0]->Versions(Key(2))->highest == Version(0));
  shards.InstallView(3, /*restore_id=*/2);
  shards.deliver_norms = true;
  shards.PushAll(0, {{0, 4}});
  CHECK(shards.servers[0]->Versions(Key(3))->lowest == Version(1));
}

TEST_CASE("A server that asks for norms is asked for its own, and nothing else comes of it") {
  TestShards shards(2);
  shards.deliver_norms = false;
  NormsRequest request;
  SetKey(KeyOf(shards.view), &request);
  request.set_shard(1);
  const auto ask = [&] { return shards.servers[0]->GetNorms(request); };
  REQUIRE(ask().ok());
  CHECK(ask()->squared_norms_size() == 0);  // not complete yet
  CHECK(shards.asked.empty());
  shards.PushAll(0, {{0, 4}});
  CHECK(std::count(shards.asked.begin(), shards.asked.end(), 1) == 1);
  CHECK(ask()->squared_norms_size() > 0);
  CHECK(std::count(shards.asked.begin(), shards.asked.end(), 1) == 2);
  CHECK(shards.servers[0]->Versions(Key(1))->highest == Version(0));
  const auto code = [&](const std::function<void(NormsRequest*)>& change) {
    NormsRequest changed = request;
    change(&changed);
    return shards.servers[0]->GetNorms(changed).status().code();
  };
  CHECK(code([](NormsRequest* r) { r->set_shard(0); }) == absl::StatusCode::kInvalidArgument);
  CHECK(code([](NormsRequest* r) { r->set_shard(2); }) == absl::StatusCode::kInvalidArgument);
  CHECK(code([](NormsRequest* r) { r->set_round(1); }) == absl::StatusCode::kFailedPrecondition);
  CHECK(code([](NormsRequest* r) { r->set_view(2); }) == absl::StatusCode::kFailedPrecondition);
  CHECK(code([](NormsRequest* r) { r->set_training_id(2); }) == absl::StatusCode::kFailedPrecondition);
  CHECK(GiveNorms(&shards, PeerNorms(shards, 0, 1.5)) == absl::StatusCode::kOk);
  shards.asked.clear();
  CHECK(ask()->squared_norms_size() > 0);  // for the previous round too
  CHECK(shards.asked.empty());             // and its own are not missing
}

TEST_CASE("Norms in a job that needs none are refused") {
  TestShards shards(2, /*clip_norm=*/0);
  CHECK(GiveNorms(&shards, PeerNorms(shards, 0, 1.5)) == absl::StatusCode::kInvalidArgument);
  Norms own = PeerNorms(shards, 0, 1.5);
  own.set_shard(0);
  CHECK(GiveNorms(&shards, own) == absl::StatusCode::kInvalidArgument);
}

TEST_CASE("A gradient that has overflowed does not keep the round waiting") {
  TestShards shards(2);
  shards.PushConstant(0, std::numeric_limits<float>::infinity());
  CHECK(shards.servers[0]->Versions(Key(1))->lowest == Version(1));
  CHECK(shards.servers[1]->Versions(Key(1))->lowest == Version(1));
}

TEST_CASE(
    "With clipping no block is updated before all shards' norms are known; a new view sends them again") {
  TestShards shards(2), undisturbed(2);
  shards.deliver_norms = false;
  shards.PushAll(0, {{0, 4}});
  CHECK(shards.servers[0]->Versions(Key(1))->highest == Version(0));
  shards.deliver_norms = true;
  shards.InstallView(2);
  CHECK(shards.servers[0]->Versions(Key(2))->lowest == Version(1));
  CHECK(shards.servers[1]->Versions(Key(2))->lowest == Version(1));
  undisturbed.PushAll(0, {{0, 4}});
  CHECK(shards.Theta(1) == undisturbed.Theta(1));
}

}  // namespace
}  // namespace shoal::server
