#include "model/layers/bottleneck.h"

#include "model/layers/layer_harness.h"
#include "model/layers/linear.h"

namespace shoal::model {
namespace {

constexpr int64_t kIn = 12, kOut = 10, kSize = 7;

LinearSpec Spec(LayerHarness* harness) {
  LinearSpec spec = harness->builder.Linear("map", kOut, kIn);
  BottleneckSpec bottleneck;
  bottleneck.down = harness->builder.Matrix("down", kSize, kOut);
  bottleneck.down_bias = harness->builder.Bias("down.bias", kSize);
  bottleneck.up = harness->builder.Matrix("up", kOut, kSize);
  bottleneck.up_bias = harness->builder.Bias("up.bias", kOut);
  spec.bottleneck = bottleneck;
  return spec;
}

TEST_CASE("A bottleneck adapter behind a frozen map, and its gradients, are those of float64") {
  LayerHarness harness;
  const LinearSpec spec = Spec(&harness);
  const Linear map(harness.plan, spec);
  const Pass pass = harness.Start();
  harness.ClearGradient();  // of the map, which is frozen
  std::vector<float> x = harness.Random(kIn, 10), d_y = harness.Random(kOut, 11), d_x(x.size()),
                     y(harness.rows() * kOut);
  const auto plain = [&](Doubles theta, const Doubles& at) {
    std::copy_n(harness.theta().begin(), spec.bottleneck->down.offset, theta.begin());
    return PlainLayers(theta).Linear(spec, at);
  };
  map.Forward(pass, harness.View(x), harness.View(y));
  CHECK(kernels::WorstError(y, plain(harness.Wide(harness.theta()), harness.Wide(x))) < 1e-5);
  std::vector<float> product(y.size());
  map.ForwardProduct(pass, harness.View(x), harness.View(product));
  CHECK(kernels::SameBits(product, y));
  CHECK_FALSE(map.bias(pass).present());
  map.BackwardInput(pass, harness.View(d_y), harness.View(d_x));
  harness.CheckGradients(
      x, d_x, [&](const Doubles& theta, const Doubles& at) { return harness.Dot(plain(theta, at), d_y); });
}

}  // namespace
}  // namespace shoal::model
