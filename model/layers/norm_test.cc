#include "model/layers/norm.h"

#include "model/layers/layer_bench.h"

namespace shoal {
namespace {

constexpr int64_t kChannels = 12;

TEST_CASE("A norm and its gradients are those of float64") {
  LayerBench bench;
  const NormSpec spec = bench.builder.Norm("norm", kChannels, 1e-5);
  const Buffer sum = bench.plan.AddActivation(Use::kKept, kChannels);
  const Norm norm(bench.plan, spec, sum);
  const Pass pass = bench.Start();
  std::vector<float> x = bench.Random(kChannels, 10), d_y = bench.Random(kChannels, 11), y(x.size()),
                     d_x(x.size());
  std::copy(x.begin(), x.end(), sum.Matrix(bench.kTokens).f32());
  norm.Forward(pass, bench.View(y));
  CHECK(WorstError(y, PlainLayers(bench.Wide(bench.theta())).Norm(spec, bench.Wide(x))) < 1e-5);
  norm.Backward(pass, {bench.View(d_y), {}, {}, bench.View(d_x)});
  bench.CheckGradients(x, d_x, [&](const Doubles& theta, const Doubles& at) {
    return bench.Dot(PlainLayers(theta).Norm(spec, at), d_y);
  });
}

// y = norm(x + map(x)), and the sum is used a second time: post-norm's and pre-norm's residual in one. Beyond
// 1024 channels the norm is no part of the product.
void CheckResidualSum(int64_t channels) {
  LayerBench bench;
  const LinearSpec map = bench.builder.Linear("map", channels, channels);
  const NormSpec spec = bench.builder.Norm("norm", channels, 1e-5);
  const Linear linear(map);
  const Norm norm(bench.plan, spec, bench.plan.AddActivation(Use::kKept, channels));
  const Pass pass = bench.Start();
  std::vector<float> x = bench.Random(channels, 10), d_y = bench.Random(channels, 11),
                     d_more = bench.Random(channels, 12), d_sum_more = bench.Random(channels, 13);
  std::vector<float> y(x.size()), again(x.size()), d_sum(x.size()), d_x(x.size());
  const auto sum = [&](const Doubles& theta, const Doubles& at) {
    return PlainSum(at, PlainLayers(theta).Linear(map, at));
  };
  const ResidualSum from = {&linear, bench.View(x), bench.View(x), {}};
  norm.Forward(pass, from, bench.View(y));
  const Doubles theta = bench.Wide(bench.theta());
  CHECK(WorstError(y, PlainLayers(theta).Norm(spec, sum(theta, bench.Wide(x)))) < 1e-4);
  norm.Forward(pass, bench.View(again));
  CHECK(again == y);
  const ConstTensor d_branch = norm.Backward(
      pass, from, {bench.View(d_y), bench.View(d_more), bench.View(d_sum_more), bench.View(d_sum)}, {});
  linear.BackwardWeight(pass, bench.View(x), d_branch);
  linear.BackwardInput(pass, d_branch, bench.View(d_x));
  for (size_t i = 0; i < d_x.size(); ++i) d_x[i] += d_sum[i];
  bench.CheckGradients(x, d_x, [&](const Doubles& at_theta, const Doubles& at) {
    const Doubles sums = sum(at_theta, at), norms = PlainLayers(at_theta).Norm(spec, sums);
    return bench.Dot(norms, d_y) + bench.Dot(norms, d_more) + bench.Dot(sums, d_sum_more);
  });
}

TEST_CASE("A residual sum with its norm, and their gradients, are those of float64") {
  CheckResidualSum(kChannels);
  CheckResidualSum(1028);
}

}  // namespace
}  // namespace shoal
