// The steps with which a block ends a round.
#include "server/block_state.h"

#include <cmath>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "catch2/catch.hpp"
#include "common/base/array_pool.h"
#include "common/base/status.h"
#include "common/base/wire.h"
#include "common/job/job_spec.h"
#include "common/job/test_job.h"
#include "common/protocol/block_checksum.h"
#include "common/protocol/payload.h"

namespace shoal::server {
namespace {

constexpr uint64_t kSize = 5000;  // elements: more than one piece
constexpr uint64_t kSlow = 700;   // of them, that learn slowly
constexpr uint32_t kSlots = 4;

std::shared_ptr<const ShardConfig> Job() {
  JobSpec spec = PlainTestSpec(8, kSlots);
  spec.mutable_train()->set_wire(GENERATE(WIRE_FORMAT_F32, WIRE_FORMAT_BF16));
  spec.mutable_optimizer()->set_type(OPTIMIZER_TYPE_ADAMW);
  CompleteJob(&spec);
  JobPlan plan;
  ParameterInfo& weight = *plan.add_parameters();
  weight.set_name("weight");
  weight.add_shape(kSize - kSlow);
  weight.set_decay(true);
  ParameterInfo& slow = *plan.add_parameters();
  slow.set_name("slow");
  slow.add_shape(kSlow);
  slow.set_offset(kSize - kSlow);
  slow.set_rate_factor(1e-6);
  plan.add_group_sizes(kSize);
  plan.set_rounds(8);
  plan.set_rounds_per_epoch(4);
  auto job = MakeShardConfig(JobId(1), spec, plan);
  SHOAL_CHECK_OK(job);
  SHOAL_CHECK((*job)->blocks.size() == 1);
  return *std::move(job);
}

// A block of the job at version 0.
class Block {
 public:
  explicit Block(std::shared_ptr<const ShardConfig> job)
      : job_(std::move(job)), state(job_, BlockId(0), pool_, Start()) {}

  absl::StatusOr<BlockState::AddResult> Add(uint64_t round, SlotRange range) {
    std::vector<uint8_t> bytes(EncodedBytes(job_->wire, kSize));
    std::vector<float> gradient(kSize);
    for (uint64_t i = 0; i < kSize; ++i)
      gradient[i] = std::sin(static_cast<float>(i + 7 * round + 3 * range.begin));
    Encode(job_->wire, gradient, absl::MakeSpan(bytes));
    const Payload payload = Payload::CopyOf(bytes);
    ContributionHeader header;
    header.set_round(round);
    header.set_slot_begin(range.begin);
    header.set_slot_end(range.end);
    header.set_wire(job_->wire);
    header.mutable_stats()->set_weight(range.size());
    header.set_crc32c(BlockChecksum(header, payload.Crc32c()));
    return state.Add(header, payload);
  }
  // Adds all of a round.
  void AddAll(uint64_t round) {
    for (uint32_t slot = 0; slot < kSlots; ++slot) REQUIRE(Add(round, {slot, slot + 1}).ok());
  }

 private:
  BlockStart Start() {
    BlockStart start;
    start.theta = pool_->Acquire(kSize);
    for (uint64_t i = 0; i < kSize; ++i) start.theta.get()[i] = 0.001f * static_cast<float>(i);
    for (uint64_t size : ArraySizes(*job_, BlockId(0))) {
      start.arrays.push_back({pool_->Acquire(size), size});
      for (float& value : start.arrays.back().span()) value = 0;
    }
    return start;
  }

  const std::shared_ptr<const ShardConfig> job_;
  const std::shared_ptr<ArrayPool> pool_ = ArrayPool::Create();

 public:
  BlockState state;
};

bool SameBits(const FloatArray& a, const FloatArray& b) {
  const auto bytes = [](const FloatArray& x) {
    return absl::string_view(reinterpret_cast<const char*>(x.get()), kSize * sizeof(float));
  };
  return bytes(a) == bytes(b);
}

TEST_CASE("A record applied at another block in the same state gives the same bits, round after round") {
  const auto job = Job();
  Block first(job), second(job);
  for (uint64_t round = 0; round < 3; ++round) {
    first.AddAll(round);
    BlockRecord record = first.state.Close(Round(round));
    record.verdict.clip = 0.5;
    CHECK(record.sum.stats().weight() == kSlots);
    second.state.Apply(record);
    first.state.Apply(record);
    const BlockSnapshot a = first.state.Snapshot(), b = second.state.Snapshot();
    CHECK(SameBits(a.theta, b.theta));
    REQUIRE(a.arrays.size() == 2);
    for (size_t i = 0; i < 2; ++i) CHECK(SameBits(a.arrays[i].values, b.arrays[i].values));
    for (Block* block : {&first, &second}) block->state.Publish(Version(round + 1));
    const auto left = first.state.Published(Version(round + 1)),
               right = second.state.Published(Version(round + 1));
    REQUIRE(left.ok());
    REQUIRE(right.ok());
    CHECK(left->payload_crc32c == right->payload_crc32c);
  }
}

TEST_CASE("Parameters learn at their own rates") {
  Block block(Job());
  block.AddAll(0);
  const FloatArray before = block.state.Snapshot().theta;
  block.state.Apply(block.state.Close(Round(0)));
  const FloatArray after = block.state.Snapshot().theta;
  const auto change = [&](uint64_t i) { return std::fabs(after.get()[i] - before.get()[i]); };
  uint64_t changed = 0;
  for (uint64_t i = 0; i < kSize - kSlow; ++i) changed += change(i) > 1e-3 ? 1 : 0;
  CHECK(changed > 9 * (kSize - kSlow) / 10);  // the gradients of a few are 0
  for (uint64_t i = kSize - kSlow; i < kSize; ++i) CHECK(change(i) < 1e-6);
}

TEST_CASE("A block to which a record is applied drops what it has added itself") {
  const auto job = Job();
  Block first(job), second(job);
  first.AddAll(0);
  REQUIRE(second.Add(0, {0, 1}).ok());
  second.state.Apply(first.state.Close(Round(0)));
  second.state.Publish(Version(1));
  CHECK(second.state.Missing() == std::vector<SlotRange>{{0, kSlots}});
  CHECK(*second.Add(0, {1, 2}) == BlockState::AddResult::kDuplicate);
  CHECK(*second.Add(1, {0, 1}) == BlockState::AddResult::kAdded);
}

TEST_CASE("From a round's end on its contributions are duplicates, whichever step follows") {
  Block block(Job());
  block.AddAll(0);
  const auto is_duplicate = [&] { return *block.Add(0, {2, 3}) == BlockState::AddResult::kDuplicate; };
  CHECK(is_duplicate());
  const BlockRecord record = block.state.Close(Round(0));
  CHECK(is_duplicate());
  CHECK(block.state.Missing().empty());
  block.state.Apply(record);
  CHECK(is_duplicate());
  block.state.Publish(Version(1));
  CHECK(is_duplicate());
}

TEST_CASE("A contribution to a round whose version is applied, but not published, is refused") {
  Block block(Job());
  block.AddAll(0);
  block.state.Apply(block.state.Close(Round(0)));
  CHECK(absl::IsFailedPrecondition(block.Add(1, {0, kSlots}).status()));
  block.state.Publish(Version(1));
  CHECK(*block.Add(1, {0, kSlots}) == BlockState::AddResult::kCompleted);
}

TEST_CASE("A version is handed out once it is published, and not when it is applied") {
  Block block(Job());
  block.AddAll(0);
  block.state.Apply(block.state.Close(Round(0)));
  CHECK(block.state.version() == Version(1));
  CHECK(absl::IsUnavailable(block.state.Published(Version(1)).status()));
  block.state.Publish(Version(1));
  CHECK(block.state.Published(Version(1)).ok());
  CHECK(block.state.Published(Version(0)).ok());
}

}  // namespace
}  // namespace shoal::server
