#include "worker/text/text_program.h"

#include <memory>

#include "catch2/catch.hpp"
#include "common/base/sha256.h"
#include "common/base/status.h"
#include "common/storage/file.h"
#include "common/storage/test_dir.h"
#include "kernels/cpu/cpu_device.h"
#include "model/model_config.h"

namespace shoal::worker {
namespace {

absl::Status BuildStatus(const JobSpec& spec, const JobPlan& plan) {
  const auto device = kernels::CpuDevice::Create({});
  REQUIRE(device.ok());
  return TextProgramBuilder(PosixEnv(), device->get()).Build(spec, plan, {}, NoProgress).status();
}

TEST_CASE("A worker refuses a job of another class of arithmetic, unless the job takes any") {
  JobSpec spec;
  spec.mutable_train()->set_precision(PRECISION_BF16);
  JobPlan plan;
  plan.set_numerics("cuda-sm90");
  const absl::Status refused = BuildStatus(spec, plan);
  CHECK(absl::IsFailedPrecondition(refused));
  CHECK_THAT(std::string(refused.message()),
             Catch::Matchers::Contains("cuda-sm90") && Catch::Matchers::Contains("avx512-bf16"));

  spec.set_numerics(NUMERICS_ANY);
  CHECK_FALSE(absl::IsFailedPrecondition(BuildStatus(spec, plan)));  // fails later: it has no model
  spec.set_numerics(NUMERICS_AMX_BF16);
  plan.set_numerics("amx-bf16");
  const auto device = kernels::CpuDevice::Create({});
  REQUIRE(device.ok());
  CHECK(absl::IsFailedPrecondition(BuildStatus(spec, plan)) != (*device)->Computes(kernels::Bf16Class::kAmx));
  spec.set_numerics(NUMERICS_STRICT);
  plan.set_numerics("avx512-bf16");
  CHECK_FALSE(absl::IsFailedPrecondition(BuildStatus(spec, plan)));
}

TEST_CASE("A worker refuses a plan whose model has a different head than the job's task needs") {
  model::ModelConfig config;
  config.head = HEAD_TYPE_NUMBER;
  config.vocab_size = 40;
  config.hidden_size = 16;
  config.num_hidden_layers = 1;
  config.num_attention_heads = 2;
  config.intermediate_size = 24;
  config.max_position_embeddings = 10;
  config.labels = {"number"};
  JobSpec spec;
  spec.set_numerics(NUMERICS_ANY);
  JobPlan plan;
  plan.set_model_config(model::PrintModelConfig(config));
  spec.set_task(TASK_TEXT_CLASSIFICATION);
  CHECK_THAT(std::string(BuildStatus(spec, plan).message()), Catch::Matchers::Contains("different head"));
  spec.set_task(TASK_TEXT_REGRESSION);
  CHECK_THAT(std::string(BuildStatus(spec, plan).message()), !Catch::Matchers::Contains("different head"));
}

TEST_CASE("A worker has a plan's data, lacks it, or has different data: then both digests are named") {
  const TestDir dir;
  SHOAL_CHECK_OK(PosixEnv()->WriteFileAtomic(dir / "a.tsv", "text"));
  JobPlan plan;
  FileDigest& file = *plan.add_files();
  file.set_path(dir / "a.tsv");
  file.set_sha256(Sha256Hex("text"));
  const auto device = kernels::CpuDevice::Create({});
  REQUIRE(device.ok());
  TextProgramBuilder builder(PosixEnv(), device->get());
  CHECK(*builder.HasData(plan, NoProgress));
  file.set_sha256(Sha256Hex("other text"));
  const absl::Status differs = builder.HasData(plan, NoProgress).status();
  CHECK(absl::IsFailedPrecondition(differs));
  CHECK_THAT(std::string(differs.message()), Catch::Matchers::Contains(Sha256Hex("text")) &&
                                                 Catch::Matchers::Contains(Sha256Hex("other text")));
  file.set_path(dir / "b.tsv");
  CHECK_FALSE(*builder.HasData(plan, NoProgress));
}

}  // namespace
}  // namespace shoal::worker
