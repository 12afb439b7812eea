// The server's data plane: two shards of a small job, and a sequence of correct and changed contributions,
// norms, views, questions and subscriptions. Asserted: what is refused changes nothing visible, and is
// answered by a reply that names it only if it arrived damaged; versions only grow between restore points;
// only who names what is served gets an answer, and a subscription then yields each version once and in
// order; as long as nothing wrong was accepted every published version has the bits of the undisturbed run.
#include "server/shard_core.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/base/array_pool.h"
#include "common/base/status.h"
#include "common/base/wire.h"
#include "common/job/job_spec.h"
#include "common/job/test_job.h"
#include "common/protocol/block_checksum.h"
#include "common/protocol/contribution_payload.h"
#include "common/protocol/payload.h"
#include "common/protocol/piece_map.h"
#include "common/protocol/slot_tree.h"
#include "common/protocol/view_key.h"
#include "proto/parameter.pb.h"
#include "server/push_reply.h"
#include "server/subscription.h"
#include "tests/fuzz/byte_source.h"
#include "tests/fuzz/message_mutator.h"

namespace shoal::server {
namespace {

constexpr uint64_t kTraining = 77;
constexpr uint64_t kBlockElements = 48;  // three pieces
constexpr uint64_t kElements = 120;      // three blocks
constexpr uint64_t kRounds = 4;
constexpr uint32_t kSlots = 4;
constexpr uint32_t kShards = 2;
constexpr int kMaxEvents = 200;
constexpr SlotRange kNodes[] = {{0, 4}, {0, 2}, {2, 4}, {0, 1}, {1, 2}, {2, 3}, {3, 4}};

struct Kind {
  bool clips = false;
  WireFormat wire = WIRE_FORMAT_F32;
};

JobSpec Spec(const Kind& kind) {
  JobSpec spec = PlainTestSpec(kRounds, kSlots);
  spec.mutable_train()->set_wire(kind.wire);
  spec.mutable_optimizer()->set_clip_norm(kind.clips ? 1 : 0);
  spec.mutable_checkpoint()->mutable_every()->set_rounds(2);
  CompleteJob(&spec);
  return spec;
}

JobPlan Plan() {
  JobPlan plan;
  ParameterInfo& weight = *plan.add_parameters();
  weight.set_name("weight");
  weight.add_shape(kElements);
  weight.set_decay(true);
  plan.add_group_sizes(kElements);
  plan.set_rounds(kRounds);
  plan.set_rounds_per_epoch(2);
  return plan;
}

class RampSource : public StateSource, public StateReader {
 public:
  absl::StatusOr<std::unique_ptr<StateReader>> Open(const RestorePoint&, absl::Span<const BlockId>) override {
    return std::make_unique<RampSource>();
  }
  absl::Status Read(BlockId block, const BlockContents& out) override {
    for (size_t i = 0; i < out.theta.size(); ++i)
      out.theta[i] = 0.01f * static_cast<float>(block.value() + i);
    return absl::OkStatus();
  }
};

// The value of a node of the slot tree.
std::vector<float> NodeValue(WireFormat wire, uint64_t round, SlotRange node, uint64_t block, uint64_t size) {
  std::vector<float> value(size);
  if (node.size() == 1) {
    for (uint64_t i = 0; i < size; ++i) {
      // Of the three pieces of a block one is not zero.
      if ((i / PieceMap::kPiece + node.begin + round) % 3 == 0)
        value[i] = std::sin(static_cast<float>(round + uint64_t{3} * node.begin + 7 * block + i));
    }
    RoundToWire(wire, absl::MakeSpan(value));
    return value;
  }
  const uint32_t middle = SlotTree::Middle(node);
  const std::vector<float> left = NodeValue(wire, round, {node.begin, middle}, block, size);
  const std::vector<float> right = NodeValue(wire, round, {middle, node.end}, block, size);
  AddRoundToWire(wire, left, right, absl::MakeSpan(value));
  return value;
}

std::string BytesOf(const Payload& payload) {
  std::string bytes;
  for (const grpc::Slice& slice : payload.slices())
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  return bytes;
}

struct Push {
  ContributionHeader header;
  Payload payload;
};

class Cluster : public ShardEffects {
 public:
  explicit Cluster(const Kind& kind) : kind_(kind) {
    const auto made = MakeShardConfig(JobId(1), Spec(kind), Plan(), kBlockElements);
    SHOAL_CHECK_OK(made);
    job = *made;
    for (uint32_t i = 0; i < kShards; ++i)
      servers.push_back(std::make_unique<ShardCore>(job, NodeId(i + 1), this, &source_));
    InstallNext(/*restore_id=*/1);
  }

  View MakeView(uint64_t number, uint64_t restore_id) const {
    View made;
    SetKey({JobId(1), TrainingId(kTraining), ViewId(number)}, &made);
    made.mutable_restore()->set_restore_id(restore_id);
    for (uint32_t i = 0; i < kShards; ++i) made.add_shards()->mutable_primary()->set_node_id(i + 1);
    return made;
  }
  void InstallNext(uint64_t restore_id) {
    view = MakeView(view.view() + 1, restore_id);
    for (auto& server : servers) SHOAL_CHECK_OK(server->Install(view));
  }

  uint64_t blocks() const { return job->blocks.size(); }

  Push MakePush(uint64_t round, SlotRange node, uint64_t block) const {
    Push push;
    SetKey(KeyOf(view), &push.header);
    push.header.set_round(round);
    push.header.set_slot_begin(node.begin);
    push.header.set_slot_end(node.end);
    push.header.set_block(static_cast<uint32_t>(block));
    push.header.set_wire(kind_.wire);
    push.header.mutable_stats()->set_weight(uint64_t{2} * node.size());
    push.header.mutable_stats()->set_examples(uint64_t{2} * node.size());
    const std::vector<float> values = NodeValue(kind_.wire, round, node, block, job->blocks[block].size);
    const auto owner = std::make_shared<std::vector<float>>(values);
    push.payload = EncodeContribution(owner, *owner, pool_.get(), &push.header);
    return push;
  }

  void OnPublished(ViewId, BlockId) override {}
  void AskNorms(ViewId, uint32_t peer, const NormsRequest& request) override {
    SHOAL_CHECK(peer < servers.size());
    const std::pair<uint32_t, uint32_t> call(request.shard(), peer);
    if (!deliver_norms || !calls_.insert(call).second) return;
    const auto answer = servers[peer]->GetNorms(request);
    if (answer.ok() && answer->squared_norms_size() > 0) (void)servers[request.shard()]->OnNorms(*answer);
    calls_.erase(call);
  }
  void OnProgress(const ShardProgress& progress) override { SHOAL_CHECK(progress.shard() < kShards); }
  void OnSnapshot(std::shared_ptr<const ShardSnapshot> snapshot) override {
    SHOAL_CHECK(snapshot->shards == kShards && !snapshot->blocks.empty());
  }

  std::shared_ptr<const ShardConfig> job;
  std::vector<std::unique_ptr<ShardCore>> servers;
  View view;
  bool deliver_norms = true;

 private:
  const Kind kind_;
  const std::shared_ptr<ArrayPool> pool_ = ArrayPool::Create();
  RampSource source_;
  std::set<std::pair<uint32_t, uint32_t>> calls_;  // asking and asked shard: one call at a time
};

// The visible state of a server: an error must not change it.
std::string Visible(const ShardCore& server) {
  const ViewKey view = server.serving();
  std::string text = view.ToString();
  if (const auto progress = server.Progress()) text += progress->SerializeAsString();
  const auto blocks = server.Blocks(view);
  if (!blocks.ok()) return text;
  const VersionRange range = *server.Versions(view);
  for (BlockId block : *blocks) {
    for (uint64_t version = range.lowest.value(); version <= range.highest.value(); ++version) {
      const auto published = server.Published(view, block, Version(version));
      text += published.ok() ? BytesOf(published->payload) : std::string(published.status().message());
    }
  }
  return text;
}

// Published bytes by version and block, from an undisturbed run.
std::vector<std::vector<std::string>> UndisturbedRun(const Kind& kind) {
  Cluster cluster(kind);
  std::vector<std::vector<std::string>> versions;
  for (uint64_t version = 0; version <= kRounds; ++version) {
    std::vector<std::string> of_blocks;
    for (uint64_t block = 0; block < cluster.blocks(); ++block) {
      const auto published =
          cluster.servers[block % kShards]->Published(KeyOf(cluster.view), BlockId(block), Version(version));
      SHOAL_CHECK_OK(published);
      of_blocks.push_back(BytesOf(published->payload));
    }
    versions.push_back(std::move(of_blocks));
    if (version == kRounds) break;
    for (uint64_t block = 0; block < cluster.blocks(); ++block) {
      Push push = cluster.MakePush(version, {0, kSlots}, block);
      push.header.set_crc32c(BlockChecksum(push.header, push.payload.Crc32c()));
      SHOAL_CHECK_OK(cluster.servers[block % kShards]->Contribute(push.header, push.payload));
    }
  }
  return versions;
}

const std::vector<std::vector<std::string>>& Expected(const Kind& kind) {
  static const auto* const expected = new std::vector<std::vector<std::string>>[4] {
    UndisturbedRun({false, WIRE_FORMAT_F32}), UndisturbedRun({true, WIRE_FORMAT_F32}),
        UndisturbedRun({false, WIRE_FORMAT_BF16}), UndisturbedRun({true, WIRE_FORMAT_BF16})
  };
  return expected[(kind.clips ? 1 : 0) + (kind.wire == WIRE_FORMAT_BF16 ? 2 : 0)];
}

class Session {
 public:
  Session(const Kind& kind, ByteSource* source) : kind_(kind), source_(source), cluster_(kind) {}

  void Play() {
    for (int events = 0; events < kMaxEvents && !source_->done(); ++events) {
      Event();
      CheckVersions();
    }
    CheckBits();
  }

 private:
  // The lowest version of a server in its view; 0 while it serves none.
  uint64_t LowestOf(const ShardCore& server) const {
    const auto versions = server.Versions(server.serving());
    return versions.ok() ? versions->lowest.value() : 0;
  }

  void Event() {
    const uint32_t kind = source_->Below(16);
    if (kind < 6) return PushRight();
    if (kind < 8) return PushRound();
    if (kind < 10) return PushChanged();
    if (kind < 11) return AskNorms();
    if (kind < 12) return AnswerNorms();
    switch (kind) {
      case 12:
        cluster_.deliver_norms = source_->Flip();
        return;
      case 13:
        return source_->Flip() ? Subscribe() : Query();
      case 14:
        return InstallRight();
      default:
        return InstallChanged();
    }
  }

  // A correct contribution: for this round, or a late one.
  Push Right() {
    const uint64_t block = source_->Below(static_cast<uint32_t>(cluster_.blocks()));
    const uint64_t lowest = LowestOf(*cluster_.servers[block % kShards]);
    const uint64_t round = source_->Below(8) == 0 ? source_->Below(kRounds) : std::min(lowest, kRounds - 1);
    Push push = cluster_.MakePush(round, kNodes[source_->Below(std::size(kNodes))], block);
    push.header.set_crc32c(BlockChecksum(push.header, push.payload.Crc32c()));
    return push;
  }
  void PushRight() {
    const Push push = Right();
    Contribute(push, push.header.block() % kShards);
  }
  // Pushes a whole round, so that sequences make progress.
  void PushRound() {
    for (uint64_t block = 0; block < cluster_.blocks(); ++block) {
      const uint64_t round = LowestOf(*cluster_.servers[block % kShards]);
      if (round >= kRounds) continue;
      Push push = cluster_.MakePush(round, {0, kSlots}, block);
      push.header.set_crc32c(BlockChecksum(push.header, push.payload.Crc32c()));
      Contribute(push, block % kShards);
    }
  }
  void PushChanged() {
    Push push = Right();
    const std::string right = push.header.SerializeAsString() + BytesOf(push.payload);
    MutateField(source_, &push.header);
    if (source_->Below(4) == 0) {
      const std::string bytes = source_->Bytes(24);
      push.payload = Payload::CopyOf({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
    }
    if (source_->Flip()) push.header.set_crc32c(BlockChecksum(push.header, push.payload.Crc32c()));
    const bool changed = push.header.SerializeAsString() + BytesOf(push.payload) != right;
    const bool added = Contribute(push, source_->Below(kShards));
    // A value that no server can check, such as the weight, was changed.
    if (changed && added) wrong_ = true;
  }
  bool Contribute(const Push& push, uint32_t shard) {
    ShardCore& server = *cluster_.servers[shard];
    const std::string before = Visible(server);
    const auto result = server.Contribute(push.header, push.payload);
    if (!result.ok() || *result == ContributionResult::kDuplicate) SHOAL_CHECK(Visible(server) == before);
    CheckReply(push.header, result.status());
    return result.ok() && *result == ContributionResult::kAdded;
  }

  static void CheckReply(const ContributionHeader& header, const absl::Status& status) {
    const std::optional<PushReply> reply = ReplyTo(header, status);
    SHOAL_CHECK(reply.has_value() == absl::IsDataLoss(status));
    if (!reply) return;
    PushReply read;
    SHOAL_CHECK(read.ParseFromString(reply->SerializeAsString()));
    SHOAL_CHECK(read.block() == header.block() && read.round() == header.round() && !read.error().empty());
    SHOAL_CHECK(read.slot_begin() == header.slot_begin() && read.slot_end() == header.slot_end());
  }

  // A refused request for norms changes nothing.
  void AskNorms() {
    NormsRequest request;
    SetKey(KeyOf(cluster_.view), &request);
    const uint32_t to = source_->Below(kShards);
    request.set_shard(1 - to);
    request.set_round(LowestOf(*cluster_.servers[to]));
    MutateMessage(source_, &request);
    ShardCore& server = *cluster_.servers[to];
    const std::string before = Visible(server);
    const auto answer = server.GetNorms(request);
    if (!answer.ok()) SHOAL_CHECK(Visible(server) == before);
  }
  // As if a peer had sent this answer.
  void AnswerNorms() {
    Norms norms;
    SetKey(KeyOf(cluster_.view), &norms);
    const uint32_t to = source_->Below(kShards);
    norms.set_shard(1 - to);
    norms.set_round(LowestOf(*cluster_.servers[to]));
    if (source_->Flip()) {
      for (uint64_t block = norms.shard(); block < cluster_.blocks(); block += kShards)
        norms.add_squared_norms(1);
    }
    MutateMessage(source_, &norms);
    if (source_->Below(8) != 7) norms.set_crc32c(NormsChecksum(norms));
    ShardCore& server = *cluster_.servers[to];
    const std::string before = Visible(server);
    const absl::Status status = server.OnNorms(norms);
    if (!status.ok()) SHOAL_CHECK(Visible(server) == before);
    // Wrong norms from a peer count, or keep the round waiting.
    if (status.ok()) wrong_ = true;
  }

  // A published block is intact, whatever was asked for.
  void Query() {
    const ShardCore& server = *cluster_.servers[source_->Below(kShards)];
    VersionsRequest request;
    SetKey(KeyOf(cluster_.view), &request);
    MutateMessage(source_, &request);
    const ViewKey view = KeyOf(request);
    const auto published = server.Published(view, BlockId(source_->Number()), Version(source_->Number()));
    if (published.ok()) SHOAL_CHECK(published->payload.Crc32c() == published->payload_crc32c);
    const auto versions = server.Versions(view);
    SHOAL_CHECK(versions.ok() == IsServed(server, view));
    if (versions.ok()) SHOAL_CHECK(versions->lowest <= versions->highest);
    if (!versions.ok()) SHOAL_CHECK(absl::IsFailedPrecondition(versions.status()));
  }
  static bool IsServed(const ShardCore& server, const ViewKey& view) {
    return view == server.serving() && view.view.value() != 0;
  }

  // What a worker gets that pulls until nothing more is available.
  void Subscribe() {
    const ShardCore& server = *cluster_.servers[source_->Below(kShards)];
    PullRequest request;
    SetKey(KeyOf(cluster_.view), &request);
    // The version before the newest is there, too.
    request.set_from_version(LowestOf(server) - std::min<uint64_t>(LowestOf(server), source_->Below(2)));
    MutateMessage(source_, &request);
    const ViewKey view = KeyOf(request);
    const auto blocks = server.Blocks(view);
    SHOAL_CHECK(blocks.ok() == IsServed(server, view));
    if (!blocks.ok()) return;
    std::map<BlockId, Version> next;
    for (BlockId block : *blocks) next[block] = Version(request.from_version());
    Subscription subscription(Version(request.from_version()), *blocks);
    const auto look = [&](BlockId block, Version version) { return server.Published(view, block, version); };
    auto item = subscription.Next(look);
    for (; item.ok() && item->has_value(); item = subscription.Next(look)) {
      SHOAL_CHECK(next.count((*item)->block) == 1 && (*item)->published.version == next[(*item)->block]);
      next[(*item)->block] = (*item)->published.version + 1;
    }
    if (!item.ok()) SHOAL_CHECK(absl::IsOutOfRange(item.status()));
    for (const auto& [block, version] : next)
      SHOAL_CHECK(!item.ok() || absl::IsUnavailable(look(block, version).status()));
  }

  void InstallRight() {
    const bool rewind = source_->Below(4) == 0;
    const uint64_t restore_id = cluster_.view.restore().restore_id() + (rewind ? 1 : 0);
    if (rewind) {
      seen_.assign(kShards, 0);
      wrong_ = false;
    }
    cluster_.InstallNext(restore_id);
  }
  void InstallChanged() {
    View view = cluster_.MakeView(cluster_.view.view() + 1, cluster_.view.restore().restore_id());
    MutateField(source_, &view);
    // Only the source knows the versions of a checkpoint.
    view.mutable_restore()->clear_version();
    // Otherwise no correct view could follow.
    if (view.view() > cluster_.view.view() + 1) return;
    const uint32_t shard = source_->Below(kShards);
    const bool older = view.view() < cluster_.view.view();
    const std::string before = Visible(*cluster_.servers[shard]);
    const absl::Status status = cluster_.servers[shard]->Install(view);
    if (older) SHOAL_CHECK(!status.ok() && Visible(*cluster_.servers[shard]) == before);
    // All servers continue with a correct view, from the start: some may have loaded a different restore
    // point.
    cluster_.view.set_view(std::max(cluster_.view.view(), view.view()));
    seen_.assign(kShards, 0);
    wrong_ = false;
    restores_ = std::max(restores_, cluster_.view.restore().restore_id()) + 1;
    while (restores_ == view.restore().restore_id()) ++restores_;
    cluster_.InstallNext(restores_);
  }

  void CheckVersions() {
    for (uint32_t shard = 0; shard < kShards; ++shard) {
      const uint64_t lowest = LowestOf(*cluster_.servers[shard]);
      SHOAL_CHECK(lowest >= seen_[shard]);
      seen_[shard] = lowest;
    }
  }

  void CheckBits() {
    if (wrong_) return;
    const ViewKey view = KeyOf(cluster_.view);
    for (uint64_t block = 0; block < cluster_.blocks(); ++block) {
      const ShardCore& server = *cluster_.servers[block % kShards];
      for (uint64_t version = 0; version <= kRounds; ++version) {
        const auto published = server.Published(view, BlockId(block), Version(version));
        if (published.ok()) SHOAL_CHECK(BytesOf(published->payload) == Expected(kind_)[version][block]);
      }
    }
  }

  const Kind kind_;
  ByteSource* const source_;
  Cluster cluster_;
  bool wrong_ = false;  // something that no correct worker or server sends was accepted
  uint64_t restores_ = 1;
  std::vector<uint64_t> seen_ = std::vector<uint64_t>(kShards);
};

}  // namespace
}  // namespace shoal::server

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace shoal;
  ByteSource source(data, size);
  const uint8_t first = source.Byte();
  const server::Kind kind = {(first & 1) != 0, (first & 2) != 0 ? WIRE_FORMAT_BF16 : WIRE_FORMAT_F32};
  server::Session(kind, &source).Play();
  return 0;
}
