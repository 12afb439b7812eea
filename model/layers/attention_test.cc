#include "model/layers/attention.h"

#include "model/layers/branch_bench.h"

namespace shoal {
namespace {

TEST_CASE("Attention and its gradients are those of float64, causal and not, within each example") {
  for (bool causal : {false, true}) {
    LayerBench bench;
    AttentionSpec spec;
    spec.qkv = bench.builder.JoinedLinear({"query", "key", "value"}, 12, 12);
    spec.out = bench.builder.Linear("out", 12, 12);
    spec.heads = 3;
    spec.causal = causal;
    Attention attention(bench.plan, spec);
    CheckBranch(bench, attention, spec, 12);
  }
}

}  // namespace
}  // namespace shoal
