#include "model/layers/linear.h"

#include "model/layers/layer_harness.h"

namespace shoal::model {
namespace {

void CheckLinear(bool has_bias) {
  LayerHarness harness;
  LinearSpec spec = harness.builder.Linear("map", 9, 6);
  if (!has_bias) spec.bias.reset();
  const Linear linear(spec);
  const Pass pass = harness.Start();
  if (!has_bias) harness.ClearGradient();
  std::vector<float> x = harness.Random(6, 10), d_y = harness.Random(9, 11), y(d_y.size()), d_x(x.size());
  const LayerHarness::PlainLoss loss = [&](const Doubles& theta, const Doubles& at) {
    return harness.Dot(PlainLayers(theta).Linear(spec, at), d_y);
  };
  linear.Forward(pass, harness.View(x), harness.View(y));
  CHECK(kernels::WorstError(y, PlainLayers(harness.Wide(harness.theta())).Linear(spec, harness.Wide(x))) <
        1e-5);
  linear.BackwardBias(pass, harness.View(d_y));
  linear.BackwardWeight(pass, harness.View(x), harness.View(d_y));
  linear.BackwardInput(pass, harness.View(d_y), harness.View(d_x));
  harness.CheckGradients(x, d_x, loss);
}

TEST_CASE("A linear map and its gradients are those of float64, with a bias and without") {
  CheckLinear(true);
  CheckLinear(false);
}

}  // namespace
}  // namespace shoal::model
