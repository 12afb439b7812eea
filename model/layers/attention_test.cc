#include "model/layers/attention.h"

#include "model/layers/branch_harness.h"

namespace shoal::model {
namespace {

TEST_CASE("Attention and its gradients are those of float64, causal and not, within each example") {
  for (bool causal : {false, true}) {
    LayerHarness harness;
    AttentionSpec spec;
    spec.qkv = harness.builder.JoinedLinear({"query", "key", "value"}, 12, 12);
    spec.out = harness.builder.Linear("out", 12, 12);
    spec.heads = 3;
    spec.causal = causal;
    Attention attention(harness.plan, spec);
    CheckBranch(harness, attention, spec, 12);
  }
}

}  // namespace
}  // namespace shoal::model
