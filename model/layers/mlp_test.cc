#include "model/layers/mlp.h"

#include "model/layers/branch_harness.h"

namespace shoal::model {
namespace {

TEST_CASE("An MLP and its gradients are those of float64") {
  for (kernels::Activation activation :
       {kernels::Activation::kGelu, kernels::Activation::kGeluTanh, kernels::Activation::kTanh}) {
    LayerHarness harness;
    MlpSpec spec;
    spec.up = harness.builder.Linear("up", 20, 12);
    spec.out = harness.builder.Linear("down", 12, 20);
    spec.activation = activation;
    Mlp mlp(harness.plan, spec);
    CheckBranch(harness, mlp, spec, 12);
  }
}

}  // namespace
}  // namespace shoal::model
