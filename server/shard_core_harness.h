// The shards of a job without their shells, driven by hand, for tests of the rules of "A round, at a server"
// (docs/protocol.md).
#pragma once

#include <cmath>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "catch2/catch.hpp"
#include "common/base/status.h"
#include "common/base/wire.h"
#include "common/job/job_spec.h"
#include "common/job/test_job.h"
#include "common/protocol/block_checksum.h"
#include "common/protocol/slot_tree.h"
#include "server/shard_core.h"
#include "server/test_view.h"

namespace shoal::server {

inline constexpr uint64_t kBlockElements = 16;
inline constexpr uint32_t kSlots = 4;

inline JobSpec Spec(double clip_norm, OptimizerType optimizer = OPTIMIZER_TYPE_ADAMW) {
  JobSpec spec = PlainTestSpec(8, kSlots);
  spec.mutable_optimizer()->set_type(optimizer);
  spec.mutable_optimizer()->set_clip_norm(clip_norm);
  spec.mutable_checkpoint()->mutable_every()->set_rounds(2);
  CompleteJob(&spec);
  return spec;
}

inline JobPlan Plan() {
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

// θ_0 is a ramp. The test may look at, or disturb, each step of loading it.
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
inline float Gradient(uint64_t round, uint32_t slot, uint64_t block, uint64_t i) {
  return std::sin(0.3f * static_cast<float>(round + 1) + 1.7f * static_cast<float>(slot) +
                  0.9f * static_cast<float>(block * kBlockElements + i));
}

// The value of a node of the slot tree.
inline std::vector<float> NodeValue(uint64_t round, SlotRange node, uint64_t block, uint64_t size) {
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

// Several shards of one job working together, in one thread. The effects of all of them are recorded.
class TestShards : public ShardEffects {
 public:
  explicit TestShards(uint32_t shards, double clip_norm = 1, OptimizerType optimizer = OPTIMIZER_TYPE_ADAMW)
      : TestShards(shards, Spec(clip_norm, optimizer), Plan()) {}
  TestShards(uint32_t shards, const JobSpec& spec, const JobPlan& plan) {
    auto made = MakeShardConfig(JobId(1), spec, plan, kBlockElements);
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
    return Push(round, node, block, Content(round, node, block));
  }
  absl::StatusOr<ContributionResult> Push(uint64_t round, SlotRange node, uint64_t block,
                                          const Payload& payload) {
    ContributionHeader header = Header(round, node, block);
    header.set_crc32c(BlockChecksum(header, payload.Crc32c()));
    return ServerOf(block).Contribute(header, payload);
  }
  // All slots of a round, with a gradient that is `value` everywhere.
  void PushConstant(uint64_t round, float value) {
    for (uint64_t block = 0; block < job->blocks.size(); ++block) {
      const std::vector<float> values(job->blocks[block].size, value);
      const Payload payload =
          Payload::CopyOf({reinterpret_cast<const uint8_t*>(values.data()), values.size() * sizeof(float)});
      REQUIRE(Push(round, {0, kSlots}, block, payload).ok());
    }
  }
  // These nodes of every block.
  void PushAll(uint64_t round, const std::vector<SlotRange>& nodes) {
    for (uint64_t block = 0; block < job->blocks.size(); ++block) {
      for (SlotRange node : nodes) REQUIRE(Push(round, node, block).ok());
    }
  }
  // Of all blocks, as published.
  std::vector<float> Theta(uint64_t version) {
    std::vector<float> theta;
    for (uint64_t block = 0; block < job->blocks.size(); ++block) {
      const auto published = ServerOf(block).Published(KeyOf(view), BlockId(block), Version(version));
      REQUIRE(published.ok());
      std::vector<float> values(job->blocks[block].size);
      PayloadReader(published->wire, published->payload).Decode(absl::MakeSpan(values));
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

}  // namespace shoal::server
