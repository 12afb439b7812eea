// A branch against its plain loops: one test for all of them.
#pragma once

#include "model/layers/branch.h"
#include "model/layers/layer_bench.h"

namespace shoal {

// `Spec`: what the branch was made from, in `bench`. `channels`: of its input and its result.
template <typename Spec>
void CheckBranch(LayerBench& bench, Branch& branch, const Spec& spec, int64_t channels) {
  const Pass pass = bench.Start();
  std::vector<float> x = bench.Random(channels, 10), d_y = bench.Random(channels, 11), y(x.size()),
                     d_x(x.size());
  const auto plain = [&](const Doubles& theta, const Doubles& at) {
    return bench.ForExamples(at, [&](const Doubles& rows) { return PlainLayers(theta).Branch(spec, rows); });
  };
  branch.out().Forward(pass, branch.Forward(pass, bench.View(x)), bench.View(y));
  CHECK(WorstError(y, plain(bench.Wide(bench.theta()), bench.Wide(x))) < 1e-4);
  branch.out().BackwardBias(pass, bench.View(d_y));
  branch.Backward(pass, bench.View(x), bench.View(d_y), bench.View(d_x));
  bench.CheckGradients(
      x, d_x, [&](const Doubles& theta, const Doubles& at) { return bench.Dot(plain(theta, at), d_y); });
}

}  // namespace shoal
