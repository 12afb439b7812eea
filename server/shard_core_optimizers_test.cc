// Rules that need more than a block's own gradient, averages, and rounds that are skipped.
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "catch2/catch.hpp"
#include "server/round_verdict.h"
#include "server/shard_core_harness.h"

namespace shoal::server {
namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

// A matrix of 7 columns, whose rows are cut by blocks of 16 elements, and a vector.
JobPlan MatrixPlan() {
  JobPlan plan = Plan();
  plan.mutable_parameters(0)->set_shape(0, 6);
  plan.mutable_parameters(0)->add_shape(7);
  plan.mutable_parameters(1)->set_offset(42);
  plan.set_group_sizes(0, 51);
  return plan;
}

JobSpec SpecOf(OptimizerType type) { return Spec(/*clip_norm=*/0, type); }

double Norm(const std::vector<float>& x, size_t begin, size_t end) {
  double sum = 0;
  for (size_t i = begin; i < end; ++i) sum += double{x[i]} * x[i];
  return std::sqrt(sum);
}

std::vector<float> Difference(const std::vector<float>& a, const std::vector<float>& b) {
  std::vector<float> difference(a.size());
  for (size_t i = 0; i < a.size(); ++i) difference[i] = a[i] - b[i];
  return difference;
}

TEST_CASE("Each optimizer gives the same bits on any number of servers") {
  for (OptimizerType type : {OPTIMIZER_TYPE_SGD, OPTIMIZER_TYPE_ADAM, OPTIMIZER_TYPE_ADAMW,
                             OPTIMIZER_TYPE_LAMB, OPTIMIZER_TYPE_ADAFACTOR}) {
    JobSpec spec = SpecOf(type);
    spec.mutable_optimizer()->set_ema_decay(0.9);
    TestShards one(1, spec, MatrixPlan()), three(3, spec, MatrixPlan());
    for (uint64_t round = 0; round < 4; ++round) {
      one.PushAll(round, {{0, 4}});
      three.PushAll(round, {{0, 2}, {2, 4}});
      CHECK(one.Theta(round + 1) == three.Theta(round + 1));
      CHECK(one.Theta(round + 1) != one.Theta(round));
    }
  }
}

TEST_CASE("LAMB's step of a parameter in several blocks is as long as the parameter, times the rate") {
  JobSpec spec = SpecOf(OPTIMIZER_TYPE_LAMB);
  spec.mutable_optimizer()->set_weight_decay(0.1);
  spec.mutable_schedule()->set_type(SCHEDULE_TYPE_CONSTANT);
  spec.mutable_schedule()->clear_end_factor();
  TestShards shards(2, spec, MatrixPlan());
  for (uint64_t round = 0; round < 3; ++round) {
    shards.PushAll(round, {{0, 4}});
    const std::vector<float> before = shards.Theta(round), step = Difference(shards.Theta(round + 1), before);
    const double rate = spec.optimizer().learning_rate();
    CHECK(Norm(step, 0, 42) == Approx(rate * Norm(before, 0, 42)).epsilon(1e-3));
    CHECK(Norm(step, 42, 51) < 1.1 * rate * std::sqrt(9));  // Adam's
  }
}

TEST_CASE("Adafactor's state is small, and part of snapshots") {
  TestShards shards(1, SpecOf(OPTIMIZER_TYPE_ADAFACTOR), MatrixPlan());
  for (uint64_t round = 0; round < 2; ++round) shards.PushAll(round, {{0, 4}});
  REQUIRE(shards.snapshots.size() == 1);
  const BlockSnapshot& first = shards.snapshots[0]->blocks[0];
  REQUIRE(first.arrays.size() == 1);
  CHECK(first.arrays[0].size == 3 + 7);  // two rows, and a part of the third
}

// ---- averages ----

TEST_CASE("The average of the parameters is published where it is evaluated, and kept") {
  JobSpec spec = SpecOf(OPTIMIZER_TYPE_ADAMW);
  spec.mutable_optimizer()->set_ema_decay(0.5);
  spec.mutable_evaluation()->mutable_every()->set_rounds(3);
  spec.mutable_evaluation()->clear_every();
  spec.mutable_evaluation()->mutable_every()->set_rounds(3);
  const WireFormat wire = GENERATE(WIRE_FORMAT_F32, WIRE_FORMAT_BF16);
  spec.mutable_train()->set_wire(wire);
  TestShards shards(1, spec, Plan());
  std::vector<double> average;
  for (float value : shards.Theta(0)) average.push_back(value);
  for (uint64_t round = 0; round < 3; ++round) {
    for (uint64_t block = 0; block < shards.job->blocks.size(); ++block) {
      const uint64_t size = shards.job->blocks[block].size;
      const std::vector<float> gradient = NodeValue(round, {0, 1}, block, size);
      std::vector<uint8_t> bytes(EncodedBytes(wire, size));
      Encode(wire, gradient, absl::MakeSpan(bytes));
      ContributionHeader header = shards.Header(round, {0, 4}, block);
      const Payload payload = Payload::CopyOf(bytes);
      header.set_wire(wire);
      header.set_crc32c(BlockChecksum(header, payload.Crc32c()));
      REQUIRE(shards.ServerOf(block).Contribute(header, payload).ok());
    }
    const std::vector<float> theta = shards.Theta(round + 1);
    const double t = static_cast<double>(round + 1), decay = std::min(0.5, (1 + t) / (10 + t));
    for (size_t i = 0; i < theta.size(); ++i) average[i] = decay * average[i] + (1 - decay) * theta[i];
  }
  size_t i = 0;
  for (uint64_t block = 0; block < shards.job->blocks.size(); ++block) {
    const auto before = shards.ServerOf(block).Published(Key(1), BlockId(block), Version(2));
    CHECK_FALSE(before->with_average);
    const auto published = shards.ServerOf(block).Published(Key(1), BlockId(block), Version(3));
    REQUIRE(published->with_average);
    CHECK(published->payload.Crc32c() == published->payload_crc32c);
    std::vector<float> both(2 * shards.job->blocks[block].size);
    DecodePayload(wire, published->payload, absl::MakeSpan(both));
    for (size_t j = both.size() / 2; j < both.size(); ++j, ++i)
      CHECK(both[j] == Approx(average[i]).epsilon(wire == WIRE_FORMAT_F32 ? 1e-5 : 2e-2).margin(1e-6));
  }
}

// ---- rounds that are skipped ----

TEST_CASE("A round whose gradient is not finite is skipped by all servers if the job says so") {
  JobSpec spec = SpecOf(OPTIMIZER_TYPE_ADAMW);
  spec.mutable_optimizer()->set_skip_not_finite(true);
  TestShards shards(2, spec, Plan());
  shards.PushAll(0, {{0, 4}});
  const std::vector<float> before = shards.Theta(1);
  for (uint64_t block = 0; block < shards.job->blocks.size(); ++block) {
    std::vector<float> gradient = NodeValue(1, {0, 4}, block, shards.job->blocks[block].size);
    if (block == 1) gradient[3] = kNaN;
    const Payload payload =
        Payload::CopyOf({reinterpret_cast<const uint8_t*>(gradient.data()), gradient.size() * sizeof(float)});
    REQUIRE(shards.Push(1, {0, 4}, block, payload).ok());
  }
  CHECK(shards.Theta(2) == before);
  shards.PushAll(2, {{0, 4}});
  CHECK(shards.Theta(3) != before);
  for (float value : shards.Theta(3)) CHECK(std::isfinite(value));
  std::vector<bool> skipped;
  for (const ShardProgress& progress : shards.progresses) {
    for (const RoundStats& round : progress.rounds()) skipped.push_back(round.skipped());
  }
  CHECK(skipped == std::vector<bool>{false, true, false});
}

TEST_CASE("A round is judged by its norm, its loss, and the norms before it") {
  JobSpec spec = SpecOf(OPTIMIZER_TYPE_SGD);
  spec.mutable_optimizer()->set_outlier_factor(3);
  spec.mutable_optimizer()->set_skip_not_finite(GENERATE(false, true));
  const bool skips = spec.optimizer().skip_not_finite();
  const auto job = MakeShardConfig(JobId(1), spec, Plan());
  REQUIRE(job.ok());
  ContributionStats stats;
  stats.set_weight(2);
  std::vector<float> recent(kRecentNorms);
  const auto judge = [&](double squared_norm) {
    return JudgeRound(**job, stats, {absl::MakeConstSpan(&squared_norm, 1)}, recent);
  };
  CHECK(judge(36).gradient_norm == 3);
  CHECK_FALSE(judge(1e12).skipped);  // nothing to compare it with
  for (size_t i = 0; i < 15; ++i) recent[i] = 1;
  CHECK_FALSE(judge(1e12).skipped);
  recent[40] = 1000;  // an outlier itself does not move the median
  CHECK(judge(36.1).skipped);
  CHECK_FALSE(judge(36).skipped);
  CHECK(judge(std::nan("")).skipped == skips);
  CHECK(judge(std::numeric_limits<double>::infinity()).skipped);  // an outlier in any case
  stats.set_loss(std::nan(""));
  CHECK(judge(4).skipped == skips);
}

TEST_CASE("Norms of rounds that were not skipped are kept, in the blocks") {
  JobSpec spec = SpecOf(OPTIMIZER_TYPE_SGD);
  spec.mutable_optimizer()->set_outlier_factor(3);
  spec.mutable_optimizer()->set_skip_not_finite(true);
  TestShards shards(2, spec, Plan());
  shards.PushAll(0, {{0, 4}});
  shards.PushConstant(1, kNaN);
  REQUIRE(shards.snapshots.size() == 2);
  for (const auto& snapshot : shards.snapshots) {
    for (const BlockSnapshot& block : snapshot->blocks) {
      const absl::Span<const float> norms = block.arrays.back().span();
      REQUIRE(norms.size() == kRecentNorms);
      CHECK(norms[0] == static_cast<float>(shards.progresses[0].rounds_size() > 0
                                               ? shards.progresses[0].rounds(0).gradient_norm()
                                               : shards.progresses[1].rounds(0).gradient_norm()));
      for (size_t i = 1; i < norms.size(); ++i) CHECK(norms[i] == 0);
    }
  }
}

}  // namespace
}  // namespace shoal::server
