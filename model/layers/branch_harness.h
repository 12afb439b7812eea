// Checks a branch against its plain loops: one test for all branches.
#pragma once

#include "model/layers/branch.h"
#include "model/layers/layer_harness.h"

namespace shoal::model {

// `Spec`: what the branch was made from, in `harness`. `channels`: those of its input and its result.
template <typename Spec>
void CheckBranch(LayerHarness& harness, Branch& branch, const Spec& spec, int64_t channels) {
  const Pass pass = harness.Start();
  std::vector<float> x = harness.Random(channels, 10), d_y = harness.Random(channels, 11), y(x.size()),
                     d_x(x.size());
  const auto plain = [&](const Doubles& theta, const Doubles& at) {
    return harness.ForExamples(at,
                               [&](const Doubles& rows) { return PlainLayers(theta).Branch(spec, rows); });
  };
  branch.out().Forward(pass, branch.Forward(pass, harness.View(x)), harness.View(y));
  CHECK(kernels::WorstError(y, plain(harness.Wide(harness.theta()), harness.Wide(x))) < 1e-4);
  branch.out().BackwardBias(pass, harness.View(d_y));
  branch.Backward(pass, harness.View(x), harness.View(d_y), harness.View(d_x));
  harness.CheckGradients(
      x, d_x, [&](const Doubles& theta, const Doubles& at) { return harness.Dot(plain(theta, at), d_y); });
}

}  // namespace shoal::model
