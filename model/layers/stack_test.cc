#include "model/layers/stack.h"

#include "model/layers/layer_harness.h"

namespace shoal::model {
namespace {

constexpr int64_t kChannels = 12, kSublayers = 3;

// MLPs, each in a group of its own; groups start at 1.
StackSpec MakeSpec(NormPlacement placement, ParameterBuilder* builder) {
  StackSpec spec;
  spec.placement = placement;
  for (int64_t i = 0; i < kSublayers; ++i) {
    SublayerSpec sublayer;
    MlpSpec mlp;
    sublayer.norm = builder->Norm("norm", kChannels, 1e-5);
    mlp.up = builder->Linear("up", 8, kChannels);
    mlp.out = builder->Linear("down", kChannels, 8);
    sublayer.branch = mlp;
    spec.sublayers.push_back(sublayer);
    builder->EndGroup();
  }
  if (placement == NORM_PLACEMENT_PRE) spec.last_norm = builder->Norm("last", kChannels, 1e-5);
  return spec;
}

void CheckStack(NormPlacement placement, const std::vector<int>& readied, const std::vector<int>& begun) {
  LayerHarness harness;
  const StackSpec spec = MakeSpec(placement, &harness.builder);
  harness.plan.head = kSublayers + 1;
  Stack stack(harness.plan, spec);
  const Pass pass = harness.Start();
  std::vector<float> x = harness.Random(kChannels, 10), d_y = harness.Random(kChannels, 11), d_x(x.size());
  std::vector<int> ready, begin;
  std::copy(x.begin(), x.end(), stack.Input(harness.rows()).f32());
  REQUIRE(stack.Forward(pass, [&](int group) { return ready.push_back(group), true; }));
  const kernels::Tensor y = stack.Output(harness.rows());
  CHECK(kernels::WorstError({y.f32(), y.f32() + y.size()},
                            PlainLayers(harness.Wide(harness.theta())).Stack(spec, harness.Wide(x))) < 1e-4);
  std::copy(d_y.begin(), d_y.end(), stack.OutputGradient(harness.rows()).f32());
  const Stack::InputGradient d_input = stack.Backward(pass, [&](int group) { begin.push_back(group); });
  for (size_t i = 0; i < d_x.size(); ++i)
    d_x[i] = d_input.d_x.f32()[i] + (d_input.d_x_more.present() ? d_input.d_x_more.f32()[i] : 0);
  harness.CheckGradients(x, d_x, [&](const Doubles& theta, const Doubles& at) {
    return harness.Dot(PlainLayers(theta).Stack(spec, at), d_y);
  });
  CHECK(ready == readied);
  CHECK(begin == begun);
}

TEST_CASE("A stack, its gradients and its groups, with norms behind sub-layers") {
  CheckStack(NORM_PLACEMENT_POST, {1, 2, 3}, {3, 3, 2, 2, 1, 1});
}

TEST_CASE("A stack, its gradients and its groups, with norms in front of sub-layers") {
  CheckStack(NORM_PLACEMENT_PRE, {1, 2, 3, 4}, {4, 3, 3, 2, 2, 1, 1});
}

TEST_CASE("A stack that does not train plans less, and what it gives is the same") {
  for (NormPlacement placement : {NORM_PLACEMENT_POST, NORM_PLACEMENT_PRE}) {
    std::vector<std::vector<float>> outputs;
    std::vector<int64_t> sizes_bytes;
    for (bool training : {true, false}) {
      LayerHarness harness;
      const StackSpec spec = MakeSpec(placement, &harness.builder);
      harness.plan.head = kSublayers + 1;
      harness.plan.training = training;
      Stack stack(harness.plan, spec);
      const Pass pass = harness.Start();
      const std::vector<float> x = harness.Random(kChannels, 10);
      std::copy(x.begin(), x.end(), stack.Input(harness.rows()).f32());
      REQUIRE(stack.Forward(pass, [](int) { return true; }));
      const kernels::Tensor y = stack.Output(harness.rows());
      outputs.emplace_back(y.f32(), y.f32() + y.size());
      sizes_bytes.push_back(harness.plan.buffers->size_bytes());
    }
    CHECK(outputs[0] == outputs[1]);
    CHECK(sizes_bytes[1] < sizes_bytes[0] / 2);
  }
}

}  // namespace
}  // namespace shoal::model
