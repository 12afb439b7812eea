#include "model/layers/linear.h"

#include "model/layers/layer_bench.h"

namespace shoal {
namespace {

void CheckLinear(bool has_bias) {
  LayerBench bench;
  LinearSpec spec = bench.builder.Linear("map", 9, 6);
  if (!has_bias) spec.bias.reset();
  const Linear linear(spec);
  const Pass pass = bench.Start();
  if (!has_bias) bench.ClearGradient();
  std::vector<float> x = bench.Random(6, 10), d_y = bench.Random(9, 11), y(d_y.size()), d_x(x.size());
  const LayerBench::PlainLoss loss = [&](const Doubles& theta, const Doubles& at) {
    return bench.Dot(PlainLayers(theta).Linear(spec, at), d_y);
  };
  linear.Forward(pass, bench.View(x), bench.View(y));
  CHECK(WorstError(y, PlainLayers(bench.Wide(bench.theta())).Linear(spec, bench.Wide(x))) < 1e-5);
  linear.BackwardBias(pass, bench.View(d_y));
  linear.BackwardWeight(pass, bench.View(x), bench.View(d_y));
  linear.BackwardInput(pass, bench.View(d_y), bench.View(d_x));
  bench.CheckGradients(x, d_x, loss);
}

TEST_CASE("A linear map and its gradients are those of float64, with a bias and without") {
  CheckLinear(true);
  CheckLinear(false);
}

}  // namespace
}  // namespace shoal
