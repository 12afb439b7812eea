// The rules of "A round, at a server" (docs/protocol.md), on the core alone.
#include "server/shard_core.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <new>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "catch2/catch.hpp"
#include "common/base/flipped_bits.h"
#include "common/base/large_memory.h"
#include "common/base/status.h"
#include "common/base/wire.h"
#include "common/job/job_spec.h"
#include "common/protocol/block_checksum.h"
#include "common/protocol/slot_tree.h"
#include "server/test_job.h"

namespace shoal::server {
namespace {

constexpr uint64_t kBlockElements = 16;
constexpr TrainingId kTraining{77};
constexpr uint32_t kSlots = 4;

ViewKey Key(uint64_t view) { return {JobId(1), kTraining, ViewId(view)}; }

JobSpec Spec(double clip_norm, OptimizerType optimizer = OPTIMIZER_TYPE_ADAMW) {
  JobSpec spec = TestSpec(8, kSlots);
  spec.mutable_optimizer()->set_type(optimizer);
  spec.mutable_optimizer()->set_clip_norm(clip_norm);
  spec.mutable_checkpoint()->mutable_every()->set_rounds(2);
  CompleteJob(&spec);
  return spec;
}

JobPlan Plan() {
  JobPlan plan;
  ParameterInfo& weight = *plan.add_parameters();
  weight.set_name("weight");
  weight.add_shape(40);
  weight.set_decay(true);
  ParameterInfo& bias = *plan.add_parameters();
  bias.set_name("bias");
  bias.add_shape(9);
  bias.set_offset(40);
  plan.add_group_sizes(49);
  plan.set_rounds(8);
  plan.set_rounds_per_epoch(4);
  return plan;
}

class RampSource : public StateSource, public StateReader {
 public:
  absl::StatusOr<std::unique_ptr<StateReader>> Open(const RestorePoint&, absl::Span<const BlockId>) override {
    on_open();
    auto reader = std::make_unique<RampSource>();
    reader->on_read = on_read;
    return reader;
  }
  absl::Status Read(BlockId block, const BlockContents& out) override {
    on_read();
    for (size_t i = 0; i < out.theta.size(); ++i)
      out.theta[i] = 0.01f * static_cast<float>(block.value() + i);
    return absl::OkStatus();
  }

  std::function<void()> on_open = [] {}, on_read = [] {};
};

// Gradient of one slot; its values need rounding.
float Gradient(uint64_t round, uint32_t slot, uint64_t block, uint64_t i) {
  return std::sin(0.3f * static_cast<float>(round + 1) + 1.7f * static_cast<float>(slot) +
                  0.9f * static_cast<float>(block * kBlockElements + i));
}

// The value of a node of the slot tree.
std::vector<float> NodeValue(uint64_t round, SlotRange node, uint64_t block, uint64_t size) {
  std::vector<float> value(size);
  if (node.size() == 1) {
    for (uint64_t i = 0; i < size; ++i) value[i] = Gradient(round, node.begin, block, i);
    return value;
  }
  const uint32_t middle = SlotTree::Middle(node);
  const std::vector<float> left = NodeValue(round, {node.begin, middle}, block, size);
  const std::vector<float> right = NodeValue(round, {middle, node.end}, block, size);
  AddRoundToWire(WIRE_FORMAT_F32, left, right, absl::MakeSpan(value));
  return value;
}

// Several shards of one job working together, in one thread.
class Cluster : public ShardEffects {
 public:
  explicit Cluster(uint32_t shards, double clip_norm = 1, OptimizerType optimizer = OPTIMIZER_TYPE_ADAMW) {
    auto made = MakeShardConfig(JobId(1), Spec(clip_norm, optimizer), Plan(), kBlockElements);
    SHOAL_CHECK_OK(made);
    job = *made;
    for (uint32_t i = 0; i < shards; ++i)
      servers.push_back(std::make_unique<ShardCore>(job, NodeId(i + 1), this, &source));
    InstallView(1);
  }

  void InstallView(uint64_t number, uint64_t restore_id = 1) {
    view.Clear();
    SetKey(Key(number), &view);
    view.mutable_restore()->set_restore_id(restore_id);
    for (uint32_t i = 0; i < servers.size(); ++i) view.add_shards()->mutable_primary()->set_node_id(i + 1);
    for (auto& server : servers) REQUIRE(server->Install(view).ok());
  }

  ShardCore& ServerOf(uint64_t block) { return *servers[block % servers.size()]; }

  ContributionHeader Header(uint64_t round, SlotRange node, uint64_t block) const {
    ContributionHeader header;
    SetKey(KeyOf(view), &header);
    header.set_round(round);
    header.set_slot_begin(node.begin);
    header.set_slot_end(node.end);
    header.set_block(block);
    header.mutable_stats()->set_weight(2 * node.size());
    header.mutable_stats()->set_loss(0.1 * node.size());
    return header;
  }
  Payload Content(uint64_t round, SlotRange node, uint64_t block) const {
    const std::vector<float> values = NodeValue(round, node, block, job->blocks[block].size);
    return Payload::CopyOf({reinterpret_cast<const uint8_t*>(values.data()), values.size() * sizeof(float)});
  }
  absl::StatusOr<ContributionResult> Push(uint64_t round, SlotRange node, uint64_t block) {
    ContributionHeader header = Header(round, node, block);
    Payload payload = Content(round, node, block);
    header.set_crc32c(BlockChecksum(header, payload.Crc32c()));
    return ServerOf(block).Contribute(header, payload);
  }
  void PushAll(uint64_t round, const std::vector<SlotRange>& nodes) {
    for (uint64_t block = 0; block < job->blocks.size(); ++block) {
      for (SlotRange node : nodes) REQUIRE(Push(round, node, block).ok());
    }
  }
  std::vector<float> Theta(uint64_t version) {
    std::vector<float> theta;
    for (uint64_t block = 0; block < job->blocks.size(); ++block) {
      const auto published = ServerOf(block).Published(KeyOf(view), BlockId(block), Version(version));
      REQUIRE(published.ok());
      std::vector<float> values(job->blocks[block].size);
      DecodePayload(published->wire, published->payload, absl::MakeSpan(values));
      theta.insert(theta.end(), values.begin(), values.end());
    }
    return theta;
  }

  void OnPublished(ViewId, BlockId) override { ++published; }
  void AskNorms(ViewId, uint32_t peer, const NormsRequest& request) override {
    asked.push_back(peer);
    const std::pair<uint32_t, uint32_t> call(request.shard(), peer);
    if (!deliver_norms || !calls.insert(call).second) return;
    const auto answer = servers[peer]->GetNorms(request);
    if (answer.ok() && answer->squared_norms_size() > 0) {
      REQUIRE(servers[request.shard()]->OnNorms(*answer).ok());
    }
    calls.erase(call);
  }
  void OnProgress(const ShardProgress& progress) override { progresses.push_back(progress); }
  bool HasRoomForSnapshot(Version) override { return room; }
  void ParallelFor(uint64_t count, const std::function<void(uint64_t)>& fn) override {
    for (uint64_t i = 0; i < count; ++i) REQUIRE_NOTHROW(fn(i));
  }
  void OnSnapshot(std::shared_ptr<const ShardSnapshot> snapshot) override { snapshots.push_back(snapshot); }
  void OnSnapshotLost(const ShardSnapshot& snapshot, const absl::Status& why) override {
    lost.push_back(absl::StrCat("version ", snapshot.version.value(), ": ", why.message()));
  }

  std::shared_ptr<const ShardConfig> job;
  std::vector<std::unique_ptr<ShardCore>> servers;
  View view;
  bool deliver_norms = true;
  bool room = true;  // for snapshots
  int published = 0;
  std::vector<uint32_t> asked;                    // for norms
  std::set<std::pair<uint32_t, uint32_t>> calls;  // (from, to): one call at a time
  std::vector<ShardProgress> progresses;
  std::vector<std::shared_ptr<const ShardSnapshot>> snapshots;
  std::vector<std::string> lost;
  RampSource source;
};

std::vector<float> ThetaAfter(uint32_t shards, const std::vector<std::vector<SlotRange>>& rounds) {
  Cluster cluster(shards);
  for (uint64_t round = 0; round < rounds.size(); ++round) cluster.PushAll(round, rounds[round]);
  return cluster.Theta(rounds.size());
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
  Cluster cluster(1, 0, OPTIMIZER_TYPE_SGD);
  const std::vector<float> before = cluster.Theta(0);
  cluster.PushAll(0, {{0, 4}});
  const std::vector<float> after = cluster.Theta(1);
  const double rate = LearningRate(cluster.job->spec, cluster.job->length, Round(0));
  const std::vector<float> sum = NodeValue(0, {0, 4}, 0, kBlockElements);
  for (uint64_t i = 0; i < sum.size(); ++i)
    CHECK(after[i] == Approx(before[i] - rate * sum[i] / 8).margin(1e-7));
}

TEST_CASE("A contribution that is already covered, or for a round that is over, is dropped") {
  Cluster cluster(1);
  REQUIRE(cluster.Push(0, {0, 2}, 0).ok());
  CHECK(*cluster.Push(0, {0, 1}, 0) == ContributionResult::kDuplicate);
  CHECK(*cluster.Push(0, {0, 2}, 0) == ContributionResult::kDuplicate);
  cluster.PushAll(0, {{2, 4}, {0, 2}});
  const std::vector<float> theta = cluster.Theta(1);
  CHECK(*cluster.Push(0, {0, 4}, 0) == ContributionResult::kDuplicate);
  CHECK(cluster.Theta(1) == theta);
}

TEST_CASE("A worker whose slots were taken over by another changes nothing by pushing late") {
  Cluster cluster(1), undisturbed(1);
  REQUIRE(cluster.Push(0, {1, 2}, 0).ok());  // then it is cut off
  cluster.InstallView(2);
  REQUIRE(cluster.Push(0, {0, 2}, 0).ok());  // its successor computed both, as one
  REQUIRE(cluster.Push(0, {1, 2}, 0).ok());
  cluster.PushAll(0, {{2, 4}, {0, 2}});
  undisturbed.PushAll(0, {{0, 4}});
  CHECK(cluster.Theta(1) == undisturbed.Theta(1));
}

TEST_CASE("What can't come from a correct worker is refused and changes nothing") {
  Cluster cluster(2);
  const auto code = [&](ContributionHeader header, const Payload& payload) {
    header.set_crc32c(BlockChecksum(header, payload.Crc32c()));
    return cluster.servers[0]->Contribute(header, payload).status().code();
  };
  const Payload good = cluster.Content(0, {0, 1}, 0);
  ContributionHeader header = cluster.Header(0, {0, 1}, 0);
  header.set_view(7);
  CHECK(code(header, good) == absl::StatusCode::kFailedPrecondition);
  header = cluster.Header(0, {0, 1}, 0);
  header.set_training_id(8);
  CHECK(code(header, good) == absl::StatusCode::kFailedPrecondition);
  header = cluster.Header(0, {0, 1}, 0);
  header.set_job(2);
  CHECK(code(header, good) == absl::StatusCode::kFailedPrecondition);
  CHECK(code(cluster.Header(1, {0, 1}, 0), good) == absl::StatusCode::kFailedPrecondition);
  CHECK(code(cluster.Header(0, {1, 3}, 0), good) == absl::StatusCode::kInvalidArgument);
  CHECK(code(cluster.Header(0, {3, 9}, 0), good) == absl::StatusCode::kInvalidArgument);
  CHECK(code(cluster.Header(0, {0, 1}, 1), good) == absl::StatusCode::kInvalidArgument);  // in another shard
  CHECK(code(cluster.Header(0, {0, 1}, 99), good) == absl::StatusCode::kInvalidArgument);
  CHECK(code(cluster.Header(0, {0, 1}, 0), Payload()) == absl::StatusCode::kInvalidArgument);
  header = cluster.Header(0, {0, 1}, 0);
  header.set_wire(WIRE_FORMAT_BF16);
  CHECK(code(header, good) == absl::StatusCode::kInvalidArgument);
  CHECK(code(cluster.Header(8, {0, 1}, 0), good) == absl::StatusCode::kInvalidArgument);  // of 8 rounds
  header = cluster.Header(0, {0, 1}, 0);
  header.set_crc32c(BlockChecksum(header, good.Crc32c()) ^ 1);
  CHECK(cluster.servers[0]->Contribute(header, good).status().code() == absl::StatusCode::kDataLoss);

  cluster.PushAll(0, {{0, 4}});
  Cluster undisturbed(2);
  undisturbed.PushAll(0, {{0, 4}});
  CHECK(cluster.Theta(1) == undisturbed.Theta(1));
}

TEST_CASE(
    "A contribution with one flipped bit in its header is refused, also one that looks like a duplicate") {
  Cluster cluster(2), undisturbed(2);
  for (Cluster* each : {&cluster, &undisturbed}) each->PushAll(0, {{0, 4}});
  REQUIRE(cluster.Push(1, {0, 1}, 0).ok());  // a flipped bit in the slots may name it
  ContributionHeader header = cluster.Header(1, {1, 2}, 0);
  const Payload payload = cluster.Content(1, {1, 2}, 0);
  header.set_crc32c(BlockChecksum(header, payload.Crc32c()));
  int accepted = 0;
  ForEachFlippedBit(&header, [&] {
    if (cluster.servers[0]->Contribute(header, payload).ok()) ++accepted;
  });
  CHECK(accepted == 0);
  cluster.PushAll(1, {{1, 2}, {0, 1}, {2, 4}});
  undisturbed.PushAll(1, {{0, 4}});
  CHECK(cluster.Theta(2) == undisturbed.Theta(2));
}

TEST_CASE("A contribution whose loss is not a number is accepted") {
  Cluster cluster(1);
  for (uint64_t block = 0; block < cluster.job->blocks.size(); ++block) {
    ContributionHeader header = cluster.Header(0, {0, 4}, block);
    header.mutable_stats()->set_loss(std::nan(""));
    header.mutable_stats()->set_weight(0);
    const Payload payload = cluster.Content(0, {0, 4}, block);
    header.set_crc32c(BlockChecksum(header, payload.Crc32c()));
    REQUIRE(cluster.servers[0]->Contribute(header, payload).ok());
  }
  REQUIRE(cluster.progresses.size() == 1);
  CHECK(std::isnan(cluster.progresses[0].rounds(0).stats().loss()));
}

// ---- norms ----

// What shard 1 of two would answer.
Norms PeerNorms(const Cluster& cluster, uint64_t round, double norm) {
  Norms norms;
  SetKey(KeyOf(cluster.view), &norms);
  norms.set_round(round);
  norms.set_shard(1);
  for (uint64_t block = 1; block < cluster.job->blocks.size(); block += 2) norms.add_squared_norms(norm);
  norms.set_crc32c(NormsChecksum(norms));
  return norms;
}

absl::StatusCode GiveNorms(Cluster* cluster, Norms norms) {
  norms.set_crc32c(NormsChecksum(norms));
  return cluster->servers[0]->OnNorms(norms).code();
}

TEST_CASE("Norms that can't come from a correct peer are refused and change nothing") {
  Cluster cluster(2);
  cluster.deliver_norms = false;
  cluster.PushAll(0, {{0, 4}});
  const Norms good = PeerNorms(cluster, 0, 1.5);
  Norms norms = good;
  norms.set_shard(0);  // the receiver's own
  CHECK(GiveNorms(&cluster, norms) == absl::StatusCode::kInvalidArgument);
  norms.set_shard(2);
  CHECK(GiveNorms(&cluster, norms) == absl::StatusCode::kInvalidArgument);
  norms = good;
  norms.add_squared_norms(1);
  CHECK(GiveNorms(&cluster, norms) == absl::StatusCode::kInvalidArgument);
  norms = good;
  norms.set_squared_norms(0, -1e-9);
  CHECK(GiveNorms(&cluster, norms) == absl::StatusCode::kInvalidArgument);
  norms = good;
  norms.set_round(1);
  CHECK(GiveNorms(&cluster, norms) == absl::StatusCode::kFailedPrecondition);
  norms = good;
  norms.set_view(2);
  CHECK(GiveNorms(&cluster, norms) == absl::StatusCode::kFailedPrecondition);
  norms = good;
  norms.set_training_id(2);
  CHECK(GiveNorms(&cluster, norms) == absl::StatusCode::kFailedPrecondition);
  norms = good;
  int accepted = 0;
  ForEachFlippedBit(&norms, [&] {
    if (cluster.servers[0]->OnNorms(norms).ok()) ++accepted;
  });
  CHECK(accepted == 0);
  CHECK(cluster.servers[0]->Versions(Key(1))->highest == Version(0));
}

TEST_CASE("A round of which a peer has told two different norms does not go on, in no view of its state") {
  Cluster cluster(2);
  cluster.deliver_norms = false;
  CHECK(GiveNorms(&cluster, PeerNorms(cluster, 0, 1.5)) == absl::StatusCode::kOk);
  CHECK(GiveNorms(&cluster, PeerNorms(cluster, 0, 1.5)) == absl::StatusCode::kOk);
  CHECK(GiveNorms(&cluster, PeerNorms(cluster, 0, 1.25)) == absl::StatusCode::kDataLoss);
  cluster.PushAll(0, {{0, 4}});
  CHECK(GiveNorms(&cluster, PeerNorms(cluster, 0, 1.5)) == absl::StatusCode::kDataLoss);
  cluster.asked.clear();
  cluster.InstallView(2);
  CHECK(std::count(cluster.asked.begin(), cluster.asked.end(), 1) == 1);  // so that it is reported again
  CHECK(GiveNorms(&cluster, PeerNorms(cluster, 0, 1.5)) == absl::StatusCode::kDataLoss);
  CHECK(cluster.servers[0]->Versions(Key(2))->highest == Version(0));
  cluster.InstallView(3, /*restore_id=*/2);
  cluster.deliver_norms = true;
  cluster.PushAll(0, {{0, 4}});
  CHECK(cluster.servers[0]->Versions(Key(3))->lowest == Version(1));
}

TEST_CASE("Who asks for norms is asked for his own, and nothing else comes of it") {
  Cluster cluster(2);
  cluster.deliver_norms = false;
  NormsRequest request;
  SetKey(KeyOf(cluster.view), &request);
  request.set_shard(1);
  const auto ask = [&] { return cluster.servers[0]->GetNorms(request); };
  REQUIRE(ask().ok());
  CHECK(ask()->squared_norms_size() == 0);  // not complete yet
  CHECK(cluster.asked.empty());
  cluster.PushAll(0, {{0, 4}});
  CHECK(std::count(cluster.asked.begin(), cluster.asked.end(), 1) == 1);
  CHECK(ask()->squared_norms_size() > 0);
  CHECK(std::count(cluster.asked.begin(), cluster.asked.end(), 1) == 2);
  CHECK(cluster.servers[0]->Versions(Key(1))->highest == Version(0));
  const auto code = [&](const std::function<void(NormsRequest*)>& change) {
    NormsRequest changed = request;
    change(&changed);
    return cluster.servers[0]->GetNorms(changed).status().code();
  };
  CHECK(code([](NormsRequest* r) { r->set_shard(0); }) == absl::StatusCode::kInvalidArgument);
  CHECK(code([](NormsRequest* r) { r->set_shard(2); }) == absl::StatusCode::kInvalidArgument);
  CHECK(code([](NormsRequest* r) { r->set_round(1); }) == absl::StatusCode::kFailedPrecondition);
  CHECK(code([](NormsRequest* r) { r->set_view(2); }) == absl::StatusCode::kFailedPrecondition);
  CHECK(code([](NormsRequest* r) { r->set_training_id(2); }) == absl::StatusCode::kFailedPrecondition);
  CHECK(GiveNorms(&cluster, PeerNorms(cluster, 0, 1.5)) == absl::StatusCode::kOk);
  cluster.asked.clear();
  CHECK(ask()->squared_norms_size() > 0);  // for the previous round too
  CHECK(cluster.asked.empty());            // and its own are not missing
}

TEST_CASE("Norms in a job that does not clip are refused") {
  Cluster cluster(2, /*clip_norm=*/0);
  CHECK(GiveNorms(&cluster, PeerNorms(cluster, 0, 1.5)) == absl::StatusCode::kInvalidArgument);
  Norms own = PeerNorms(cluster, 0, 1.5);
  own.set_shard(0);
  CHECK(GiveNorms(&cluster, own) == absl::StatusCode::kInvalidArgument);
}

TEST_CASE("A gradient that has overflowed does not keep the round waiting") {
  Cluster cluster(2);
  for (uint64_t block = 0; block < cluster.job->blocks.size(); ++block) {
    const std::vector<float> values(cluster.job->blocks[block].size, std::numeric_limits<float>::infinity());
    const Payload payload =
        Payload::CopyOf({reinterpret_cast<const uint8_t*>(values.data()), values.size() * sizeof(float)});
    ContributionHeader header = cluster.Header(0, {0, 4}, block);
    header.set_crc32c(BlockChecksum(header, payload.Crc32c()));
    REQUIRE(cluster.ServerOf(block).Contribute(header, payload).ok());
  }
  CHECK(cluster.servers[0]->Versions(Key(1))->lowest == Version(1));
  CHECK(cluster.servers[1]->Versions(Key(1))->lowest == Version(1));
}

// ---- views ----

TEST_CASE("An impossible view is refused, and no view is served") {
  Cluster cluster(1);
  const auto code = [&](const std::function<void(View*)>& change) {
    View view = cluster.view;
    view.set_view(view.view() + 1);
    view.mutable_restore()->set_restore_id(view.restore().restore_id() + 1);
    cluster.view = view;
    change(&view);
    const absl::Status status = cluster.servers[0]->Install(view);
    CHECK(cluster.servers[0]->serving().view == ViewId(status.ok() ? view.view() : 0));
    return status.code();
  };
  CHECK(code([](View* view) { view->clear_shards(); }) == absl::StatusCode::kInvalidArgument);
  CHECK(code([](View* view) { view->mutable_shards(0)->clear_primary(); }) ==
        absl::StatusCode::kInvalidArgument);
  CHECK(code([](View* view) { *view->add_shards() = view->shards(0); }) ==
        absl::StatusCode::kInvalidArgument);
  CHECK(code([](View* view) {
          for (int i = 0; i < 9; ++i) view->add_shards();
        }) == absl::StatusCode::kInvalidArgument);
  CHECK(code([](View* view) { view->mutable_restore()->set_version(3); }) ==
        absl::StatusCode::kInvalidArgument);
  CHECK(code([](View* view) {
          view->mutable_restore()->set_checkpoint("version-9");
          view->mutable_restore()->set_version(9);
        }) == absl::StatusCode::kInvalidArgument);
  CHECK(code([](View* view) { view->mutable_restore()->set_version(~uint64_t{0}); }) ==
        absl::StatusCode::kInvalidArgument);
  CHECK(code([](View*) {}) == absl::StatusCode::kOk);
}

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
    Cluster undisturbed(1, clip_norm);
    for (uint64_t round = 0; round < rounds.size(); ++round) undisturbed.PushAll(round, rounds[round]);
    const std::vector<float> expected = undisturbed.Theta(rounds.size());
    int refused = 0;
    for (int grant = 0; grant < 12; ++grant) {
      Cluster cluster(1, clip_norm);
      for (uint64_t round = 0; round < rounds.size(); ++round) {
        for (uint64_t block = 0; block < cluster.job->blocks.size(); ++block) {
          for (SlotRange node : rounds[round]) {
            absl::StatusOr<ContributionResult> result = ContributionResult::kDuplicate;
            {
              const NoMemory no_memory(grant);
              result = cluster.Push(round, node, block);
            }
            if (result.ok()) continue;
            ++refused;
            CHECK(absl::IsResourceExhausted(result.status()));
            CHECK_THAT(std::string(result.status().message()),
                       Catch::Matchers::Contains("a contribution to block") &&
                           Catch::Matchers::Contains("can't allocate "));
            REQUIRE(cluster.Push(round, node, block).ok());  // the worker sends it again
          }
        }
      }
      CHECK(cluster.Theta(rounds.size()) == expected);
    }
    CHECK(refused > 0);
  }
}

TEST_CASE("A snapshot for which there is no memory is given up with its reason; the round goes on") {
  Cluster cluster(1, /*clip_norm=*/0);
  cluster.PushAll(0, {{0, 4}});
  for (uint64_t block = 0; block + 1 < cluster.job->blocks.size(); ++block)
    REQUIRE(cluster.Push(1, {0, 4}, block).ok());
  {
    const NoMemory no_memory(1);  // θ of the next version, or one of two moments
    REQUIRE(cluster.Push(1, {0, 4}, cluster.job->blocks.size() - 1).ok());
  }
  CHECK(cluster.snapshots.empty());
  REQUIRE(cluster.lost.size() == 1);
  CHECK_THAT(cluster.lost[0],
             Catch::Matchers::StartsWith("version 2: there is not enough memory for a copy"));
  cluster.PushAll(2, {{0, 4}});
  cluster.PushAll(3, {{0, 4}});
  CHECK(cluster.snapshots.size() == 1);
  CHECK(cluster.progresses.back().version() == 4);
}

TEST_CASE("A state for which there is no memory is refused, and loaded when there is") {
  Cluster cluster(1);
  const auto no_memory = [] { throw std::bad_alloc(); };
  View view = cluster.view;
  view.set_view(2);
  view.mutable_restore()->set_restore_id(2);
  SECTION("when it is opened") { cluster.source.on_open = no_memory; }
  SECTION("when a block is loaded") { cluster.source.on_read = no_memory; }
  CHECK(absl::IsResourceExhausted(cluster.servers[0]->Install(view)));
  CHECK(cluster.servers[0]->serving().view == ViewId(0));
  cluster.source = RampSource();
  CHECK(cluster.servers[0]->Install(view).ok());
}

TEST_CASE("Two versions are kept; older and future ones give different errors") {
  Cluster cluster(1);
  for (uint64_t round = 0; round < 3; ++round) cluster.PushAll(round, {{0, 4}});
  const auto code = [&](uint64_t version) {
    return cluster.servers[0]->Published(Key(1), BlockId(0), Version(version)).status().code();
  };
  CHECK(code(1) == absl::StatusCode::kOutOfRange);
  CHECK(code(2) == absl::StatusCode::kOk);
  CHECK(code(3) == absl::StatusCode::kOk);
  CHECK(code(4) == absl::StatusCode::kUnavailable);
  CHECK(code(5) == absl::StatusCode::kOutOfRange);
}

TEST_CASE(
    "With clipping no block is updated before all shards' norms are known; a new view sends them again") {
  Cluster cluster(2), undisturbed(2);
  cluster.deliver_norms = false;
  cluster.PushAll(0, {{0, 4}});
  CHECK(cluster.servers[0]->Versions(Key(1))->highest == Version(0));
  cluster.deliver_norms = true;
  cluster.InstallView(2);
  CHECK(cluster.servers[0]->Versions(Key(2))->lowest == Version(1));
  CHECK(cluster.servers[1]->Versions(Key(2))->lowest == Version(1));
  undisturbed.PushAll(0, {{0, 4}});
  CHECK(cluster.Theta(1) == undisturbed.Theta(1));
}

TEST_CASE("A new restore point starts over, and an older view is refused") {
  Cluster cluster(1);
  cluster.PushAll(0, {{0, 4}});
  const View old = cluster.view;
  cluster.InstallView(2, /*restore_id=*/2);
  CHECK(cluster.servers[0]->Versions(Key(2))->highest == Version(0));
  CHECK(absl::IsFailedPrecondition(cluster.servers[0]->Install(old)));
  View followed = cluster.view;
  followed.set_view(3);
  followed.mutable_shards(0)->add_followers()->set_node_id(9);
  CHECK(absl::IsInvalidArgument(cluster.servers[0]->Install(followed)));
}

TEST_CASE("A view of another training is refused without effect, whatever its number") {
  Cluster cluster(1);
  const View view = cluster.view;
  cluster.InstallView(3);
  for (uint64_t number : {1, 3, 4}) {
    View other = view;
    SetKey({JobId(1), TrainingId(8), ViewId(number)}, &other);
    const absl::Status status = cluster.servers[0]->Install(other);
    CHECK(absl::IsFailedPrecondition(status));
    CHECK_THAT(std::string(status.message()), Catch::Matchers::Contains("training 0000000000000008"));
    CHECK_THAT(std::string(status.message()), Catch::Matchers::Contains("training 000000000000004d"));
    CHECK(cluster.servers[0]->serving() == Key(3));
  }
}

TEST_CASE("Progress, statistics and snapshots come once per version, complete") {
  Cluster cluster(2);
  cluster.PushAll(0, {{0, 2}, {2, 4}});
  cluster.PushAll(1, {{0, 4}});
  REQUIRE(cluster.progresses.size() == 4);
  int rounds = 0;
  for (const ShardProgress& progress : cluster.progresses) rounds += progress.rounds_size();
  CHECK(rounds == 2);  // of shard 0 alone
  for (const ShardProgress& progress : cluster.progresses) {
    for (const RoundStats& round : progress.rounds()) {
      CHECK(round.stats().weight() == 8);
      CHECK(round.gradient_norm() > 0);
    }
  }
  REQUIRE(cluster.snapshots.size() == 2);  // version 2, each shard
  std::map<uint64_t, FloatArray> blocks;
  for (const auto& snapshot : cluster.snapshots) {
    CHECK(snapshot->version == Version(2));
    for (const BlockSnapshot& block : snapshot->blocks) {
      CHECK(block.moments.size() == 2);
      blocks[block.block.value()] = block.theta;
    }
  }
  CHECK(blocks.size() == cluster.job->blocks.size());
  const std::vector<float> theta = cluster.Theta(2);
  CHECK(blocks[0].get()[3] == theta[3]);
}

TEST_CASE("An update that leads to a checkpoint waits until there is room for it") {
  const double clip_norm = GENERATE(0.0, 1.0);
  Cluster cluster(2, clip_norm), undisturbed(2, clip_norm);
  for (Cluster* each : {&cluster, &undisturbed}) each->PushAll(0, {{0, 4}});
  cluster.room = false;
  cluster.PushAll(1, {{0, 4}});
  for (const auto& server : cluster.servers) {
    server->ResumeUpdates();
    CHECK(server->Versions(Key(1))->highest == Version(1));
  }
  CHECK(cluster.snapshots.empty());
  cluster.room = true;
  for (const auto& server : cluster.servers) server->ResumeUpdates();
  CHECK(cluster.snapshots.size() == 2);
  undisturbed.PushAll(1, {{0, 4}});
  CHECK(cluster.Theta(2) == undisturbed.Theta(2));
  cluster.PushAll(2, {{0, 4}});
  CHECK(cluster.servers[0]->Versions(Key(1))->lowest == Version(3));
}

TEST_CASE("An inconsistent plan is refused") {
  JobPlan plan = Plan();
  plan.mutable_parameters(1)->set_offset(41);
  CHECK(absl::IsInvalidArgument(MakeShardConfig(JobId(1), Spec(0), plan).status()));
  plan = Plan();
  plan.set_group_sizes(0, 50);
  CHECK(absl::IsInvalidArgument(MakeShardConfig(JobId(1), Spec(0), plan).status()));
  plan = Plan();
  plan.mutable_parameters(0)->add_shape(uint64_t{1} << 60);
  CHECK(absl::IsInvalidArgument(MakeShardConfig(JobId(1), Spec(0), plan).status()));
  plan = Plan();
  plan.mutable_parameters(0)->set_shape(0, 0);
  plan.mutable_parameters(0)->add_shape(3);
  CHECK(absl::IsInvalidArgument(MakeShardConfig(JobId(1), Spec(0), plan).status()));
  plan = Plan();
  plan.add_group_sizes(~uint64_t{0});
  CHECK(absl::IsInvalidArgument(MakeShardConfig(JobId(1), Spec(0), plan).status()));
  plan = Plan();
  plan.set_rounds(0);
  CHECK(absl::IsInvalidArgument(MakeShardConfig(JobId(1), Spec(0), plan).status()));
  CHECK(absl::IsInvalidArgument(MakeShardConfig(JobId(1), Spec(0), JobPlan()).status()));
  JobSpec spec = Spec(0);
  spec.mutable_train()->set_slots(0);
  CHECK(absl::IsInvalidArgument(MakeShardConfig(JobId(1), spec, Plan()).status()));
  spec = Spec(0);
  spec.mutable_train()->set_wire(static_cast<WireFormat>(7));
  CHECK(absl::IsInvalidArgument(MakeShardConfig(JobId(1), spec, Plan()).status()));
  CHECK(absl::IsInvalidArgument(MakeShardConfig(JobId(1), JobSpec(), Plan()).status()));
  plan = Plan();
  plan.add_group_sizes(0);  // no block
  CHECK(MakeShardConfig(JobId(1), Spec(0), plan).ok());
}

}  // namespace
}  // namespace shoal::server
