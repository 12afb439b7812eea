// What a server derives from a job's spec and plan, which came over the network: correct and changed ones, or
// any bytes as both. Asserted: the blocks cover θ without gaps, and each element has exactly one weight
// decay.
#include "server/shard_config.h"

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "common/base/status.h"
#include "common/job/job_spec.h"
#include "common/job/test_job.h"
#include "tests/fuzz/byte_source.h"
#include "tests/fuzz/message_mutator.h"

namespace shoal::server {
namespace {

// A plan with more parameters is correct, but its blocks would use up the fuzzer's memory.
constexpr uint64_t kMaxElements = uint64_t{1} << 32;
constexpr size_t kMaxCheckedBlocks = 64;
constexpr int kMaxChanges = 16;

JobSpec Spec() {
  JobSpec spec = TestSpec(/*rounds=*/20, /*slots=*/8);
  CompleteJob(&spec);
  return spec;
}

JobPlan Plan() {
  JobPlan plan;
  uint64_t offset = 0;
  for (uint64_t rows : {10, 3, 1000}) {
    ParameterInfo& parameter = *plan.add_parameters();
    parameter.set_name("p");
    parameter.add_shape(rows);
    parameter.add_shape(512);
    parameter.set_offset(offset);
    parameter.set_decay(rows != 3);
    offset += rows * 512;
  }
  plan.add_group_sizes(10 * 512);
  plan.add_group_sizes(1003 * 512);
  plan.set_rounds(20);
  plan.set_rounds_per_epoch(4);
  return plan;
}

void CheckJob(const ShardConfig& job) {
  uint64_t next = 0;
  for (const BlockSpec& block : job.blocks) {
    SHOAL_CHECK(block.offset == next && block.size > 0 && block.size <= kMaxBlockElements);
    next += block.size;
  }
  for (size_t i = 0; i < job.blocks.size() && i < kMaxCheckedBlocks; ++i) {
    uint64_t covered = 0;
    for (const UpdateRange& range : job.ranges[i]) {
      SHOAL_CHECK(range.begin == covered && range.end > range.begin);
      covered = range.end;
    }
    SHOAL_CHECK(covered == job.blocks[i].size);
  }
  const double rate = LearningRate(job.spec, job.length, Round(0));
  SHOAL_CHECK(rate >= 0);
}

}  // namespace
}  // namespace shoal::server

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace shoal;
  ByteSource source(data, size);
  JobSpec spec = server::Spec();
  JobPlan plan = server::Plan();
  if (source.Below(4) == 0) {
    const absl::string_view bytes = source.Rest();
    if (!plan.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return 0;
  } else {
    for (int i = 0; i < server::kMaxChanges && !source.done(); ++i) {
      if (source.Flip()) {
        MutateField(&source, &plan);
      } else {
        MutateField(&source, &spec);
      }
    }
  }
  uint64_t elements = 0;
  for (uint64_t group : plan.group_sizes()) {
    if (group > server::kMaxElements) return 0;
    elements += group;
  }
  if (elements > server::kMaxElements) return 0;
  const auto job = server::MakeShardConfig(JobId(1), spec, plan);
  if (job.ok()) server::CheckJob(**job);
  return 0;
}
