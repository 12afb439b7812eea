#include "model/layers/mlp.h"

#include "model/layers/branch_bench.h"

namespace shoal {
namespace {

TEST_CASE("An MLP and its gradients are those of float64") {
  for (Activation activation : {Activation::kGelu, Activation::kGeluTanh, Activation::kTanh}) {
    LayerBench bench;
    MlpSpec spec;
    spec.up = bench.builder.Linear("up", 20, 12);
    spec.out = bench.builder.Linear("down", 12, 20);
    spec.activation = activation;
    Mlp mlp(bench.plan, spec);
    CheckBranch(bench, mlp, spec, 12);
  }
}

}  // namespace
}  // namespace shoal
