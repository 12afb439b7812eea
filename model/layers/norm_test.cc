#include "model/layers/norm.h"

#include "model/layers/layer_harness.h"

namespace shoal::model {
namespace {

constexpr int64_t kChannels = 12;

TEST_CASE("A norm and its gradients are those of float64") {
  LayerHarness harness;
  const NormSpec spec = harness.builder.Norm("norm", kChannels, 1e-5);
  const Buffer sum = harness.plan.AddActivation(Use::kKept, kChannels);
  const Norm norm(harness.plan, spec, sum);
  const Pass pass = harness.Start();
  std::vector<float> x = harness.Random(kChannels, 10), d_y = harness.Random(kChannels, 11), y(x.size()),
                     d_x(x.size());
  std::copy(x.begin(), x.end(), sum.Matrix(harness.rows()).f32());
  norm.Forward(pass, harness.View(y));
  CHECK(kernels::WorstError(y, PlainLayers(harness.Wide(harness.theta())).Norm(spec, harness.Wide(x))) <
        1e-5);
  norm.Backward(pass, {harness.View(d_y), {}, {}, harness.View(d_x)});
  harness.CheckGradients(x, d_x, [&](const Doubles& theta, const Doubles& at) {
    return harness.Dot(PlainLayers(theta).Norm(spec, at), d_y);
  });
}

// y = norm(x + map(x)), with the sum used a second time: the residuals of post-norm and pre-norm in one.
// Beyond 1024 channels the norm is not fused into the product.
void CheckResidualSum(int64_t channels) {
  LayerHarness harness;
  const LinearSpec map = harness.builder.Linear("map", channels, channels);
  const NormSpec spec = harness.builder.Norm("norm", channels, 1e-5);
  const Linear linear(map);
  const Norm norm(harness.plan, spec, harness.plan.AddActivation(Use::kKept, channels));
  const Pass pass = harness.Start();
  std::vector<float> x = harness.Random(channels, 10), d_y = harness.Random(channels, 11),
                     d_more = harness.Random(channels, 12), d_sum_more = harness.Random(channels, 13);
  std::vector<float> y(x.size()), recomputed(x.size()), d_sum(x.size()), d_x(x.size());
  const auto sum = [&](const Doubles& theta, const Doubles& at) {
    return PlainSum(at, PlainLayers(theta).Linear(map, at));
  };
  const ResidualSum from = {&linear, harness.View(x), harness.View(x), {}};
  norm.Forward(pass, from, harness.View(y));
  const Doubles theta = harness.Wide(harness.theta());
  CHECK(kernels::WorstError(y, PlainLayers(theta).Norm(spec, sum(theta, harness.Wide(x)))) < 1e-4);
  norm.Forward(pass, harness.View(recomputed));
  CHECK(recomputed == y);
  const kernels::ConstTensor d_branch = norm.Backward(
      pass, from, {harness.View(d_y), harness.View(d_more), harness.View(d_sum_more), harness.View(d_sum)},
      {});
  linear.BackwardWeight(pass, harness.View(x), d_branch);
  linear.BackwardInput(pass, d_branch, harness.View(d_x));
  for (size_t i = 0; i < d_x.size(); ++i) d_x[i] += d_sum[i];
  harness.CheckGradients(x, d_x, [&](const Doubles& at_theta, const Doubles& at) {
    const Doubles sums = sum(at_theta, at), norms = PlainLayers(at_theta).Norm(spec, sums);
    return harness.Dot(norms, d_y) + harness.Dot(norms, d_more) + harness.Dot(sums, d_sum_more);
  });
}

TEST_CASE("A residual sum with its norm, and their gradients, are those of float64") {
  CheckResidualSum(kChannels);
  CheckResidualSum(1028);
}

}  // namespace
}  // namespace shoal::model
