#include "model/layers/low_rank.h"

#include "kernels/dropout.h"
#include "model/layers/layer_harness.h"
#include "model/layers/linear.h"

namespace shoal::model {
namespace {

constexpr int64_t kIn = 12, kOut = 10, kRank = 3;

// One that drops parts of its input, for the last rows of a map.
LinearSpec Spec(LayerHarness* harness) {
  LinearSpec spec = harness->builder.Linear("map", kOut, kIn);
  LowRankSpec addition;
  addition.a = harness->builder.Matrix("a", kRank, kIn);
  addition.b = harness->builder.Matrix("b", kOut - 4, kRank);
  addition.first_row = 4;
  addition.scale = 1.5;
  addition.dropout = 0.4;
  spec.low_rank.push_back(addition);
  return spec;
}

// What the addition's dropout multiplies an input with.
std::vector<float> Mask(const LayerHarness& harness, const Pass& pass, const LowRankSpec& addition) {
  std::vector<float> mask(harness.rows() * kIn, 1);
  const kernels::Dropout dropout =
      DropoutAt(pass, addition.dropout, "low rank", static_cast<int64_t>(addition.a.offset));
  kernels::ApplyDropout(*pass.device, {dropout, harness.View(mask), {}, harness.View(mask)});
  return mask;
}

TEST_CASE("A low-rank addition drops parts of its input alone, the same ones in backward") {
  LayerHarness harness;
  const LinearSpec spec = Spec(&harness);
  const Linear map(harness.plan, spec);
  const Pass pass = harness.Start();
  std::vector<float> x = harness.Random(kIn, 10), d_y = harness.Random(kOut, 11), d_x(x.size()),
                     y(harness.rows() * kOut);
  const std::vector<float> mask = Mask(harness, pass, spec.low_rank[0]);
  REQUIRE(std::count(mask.begin(), mask.end(), 0.0f) > 20);

  const auto plain = [&](const Doubles& theta, const Doubles& at) {
    const PlainLayers layers(theta);
    const LowRankSpec& part = spec.low_rank[0];
    Doubles dropped = at;
    for (size_t i = 0; i < dropped.size(); ++i) dropped[i] *= mask[i];
    Doubles sum = layers.Linear({spec.weight, spec.bias}, at);
    const Doubles added = layers.Linear({part.b, {}}, layers.Linear({part.a, {}}, dropped));
    for (int64_t r = 0; r < harness.rows(); ++r) {
      for (int64_t o = 0; o < part.b.rows; ++o)
        sum[r * kOut + part.first_row + o] += part.scale * added[r * part.b.rows + o];
    }
    return sum;
  };
  map.Forward(pass, harness.View(x), harness.View(y));
  CHECK(kernels::WorstError(y, plain(harness.Wide(harness.theta()), harness.Wide(x))) < 1e-4);
  map.BackwardBias(pass, harness.View(d_y));
  map.BackwardWeight(pass, harness.View(x), harness.View(d_y));
  map.BackwardInput(pass, harness.View(d_y), harness.View(d_x));
  harness.CheckGradients(
      x, d_x, [&](const Doubles& theta, const Doubles& at) { return harness.Dot(plain(theta, at), d_y); });
}

TEST_CASE("Without training a low-rank addition drops nothing") {
  LayerHarness harness;
  const LinearSpec spec = Spec(&harness);
  const Linear map(harness.plan, spec);
  Pass pass = harness.Start();
  pass.training = false;
  std::vector<float> x = harness.Random(kIn, 10), y(harness.rows() * kOut);
  map.Forward(pass, harness.View(x), harness.View(y));
  const Doubles theta = harness.Wide(harness.theta());
  CHECK(kernels::WorstError(y, PlainLayers(theta).Linear(spec, harness.Wide(x))) < 1e-4);
}

}  // namespace
}  // namespace shoal::model
