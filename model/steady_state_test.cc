// After the first one, a training step allocates nothing and creates no oneDNN primitive.
#include <atomic>
#include <cstdlib>
#include <new>
#include <vector>

#include "catch2/catch.hpp"
#include "common/base/philox.h"
#include "kernels/cpu/cpu_device.h"
#include "model/model.h"
#include "model/model_oracle.h"
#include "model/parameters.h"

namespace {
std::atomic<int64_t> allocations{0};
}  // namespace

// Counts all allocations of the process; Catch2 makes some too, but not between the two readings below.
void* operator new(size_t size) {
  ++allocations;
  void* memory = std::malloc(size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }

namespace shoal::model {
namespace {

void CheckSteadyState(const ModelConfig& config, kernels::DType activations, kernels::GemmPath path) {
  kernels::CpuDeviceOptions options;
  options.threads = 2;
  options.gemm_path = path;
  const auto device = kernels::CpuDevice::Create(options);
  REQUIRE(device.ok());
  const Examples examples(config, std::vector<int>(40, 9));
  const std::vector<float> theta = RandomTheta(config);
  std::vector<float> gradient(theta.size());
  const auto model =
      MakeModel(device->get(), config,
                {static_cast<int64_t>(examples.tokens.size()), examples.view().example_count()}, activations);
  MicroBatch step;
  step.theta = theta.data();
  step.batch = examples.view();
  step.gradient = gradient.data();
  const auto run = [&] {
    kernels::LossSum loss;
    ++step.dropout.key;
    model->Forward(
        step, [](int) { return true; }, &loss);
    model->Backward([](int) {});
  };
  run();
  const kernels::DeviceCounters counters = (*device)->counters();
  const int64_t before = allocations;
  for (int i = 0; i < 3; ++i) run();
  const int64_t after = allocations;
  CHECK(after - before == 0);
  CHECK((*device)->counters().primitives_created == counters.primitives_created);
  CHECK((*device)->counters().scratch_allocations == counters.scratch_allocations);
}

TEST_CASE("A step in the steady state allocates nothing and makes no primitive") {
  for (const ModelConfig& family : {SmallConfig(NORM_PLACEMENT_POST, HEAD_TYPE_CLASS), SmallGpt2()}) {
    ModelConfig config = family;
    config.embedding_dropout_prob = config.hidden_dropout_prob = config.attention_probs_dropout_prob = 0.1;
    CheckSteadyState(config, kernels::DType::kF32, kernels::GemmPath::kOwn);
    CheckSteadyState(config, kernels::DType::kBf16, kernels::GemmPath::kOwn);
  }
}

}  // namespace
}  // namespace shoal::model
