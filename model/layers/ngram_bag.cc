#include "model/layers/ngram_bag.h"

#include "kernels/elementwise.h"
#include "kernels/embedding.h"
#include "kernels/token_ids.h"

namespace shoal::model {

static_assert(kMaxNgram <= kernels::EmbeddingForwardArgs::kMaxTables, "each length is a table of the sum");

NgramBag::NgramBag(const LayerPlan& plan, const NgramBagSpec& spec)
    : spec_(spec),
      rows_(plan.Add(Use::kKept, plan.limits.tokens, spec.table.columns)),
      scaled_(plan.Add(Use::kBackward, plan.limits.examples, spec.table.columns)) {
  for (int i = 0; i < spec.longest; ++i)
    ids_[i] = plan.Add(Use::kKept, plan.limits.tokens, 1, kernels::DType::kI32);
}

void NgramBag::Forward(const Pass& pass, const kernels::Tensor& y) {
  const kernels::ConstTensor offsets = kernels::ViewOf(pass.batch.offsets);
  kernels::EmbeddingForwardArgs embedding;
  embedding.y = rows_.Matrix(pass.tokens());
  for (int length = 1; length <= spec_.longest; ++length) {
    kernels::NgramIdsArgs ids;
    ids.tokens = kernels::ViewOf(pass.batch.tokens);
    ids.offsets = offsets;
    ids.length = length;
    ids.buckets = spec_.table.rows;
    ids.ids = ids_[length - 1].Vector(pass.tokens());
    kernels::NgramIds(*pass.device, ids);
    embedding.tables[length - 1] = {pass.Value(spec_.table), ids.ids};
  }
  kernels::EmbeddingForward(*pass.device, embedding);
  kernels::PoolRows(*pass.device, embedding.y, offsets, kernels::RowDivisor::kRootOfTokens, y);
  kernels::Scale(*pass.device, y, static_cast<float>(spec_.scale), y);
}

void NgramBag::Backward(const Pass& pass, const kernels::ConstTensor& d_y) {
  const kernels::Tensor scaled = scaled_.Matrix(pass.batch.example_count());
  const kernels::Tensor d_rows = rows_.Matrix(pass.tokens());
  const kernels::Tensor d_table = pass.Gradient(spec_.table);
  kernels::Scale(*pass.device, d_y, static_cast<float>(spec_.scale), scaled);
  kernels::PoolRowsBackward(*pass.device, scaled, kernels::ViewOf(pass.batch.offsets),
                            kernels::RowDivisor::kRootOfTokens, d_rows);
  if (!pass.adds_to(spec_.table.group)) kernels::SetZero(*pass.device, d_table);
  for (int i = 0; i < spec_.longest; ++i)
    kernels::EmbeddingBackward(*pass.device, {ids_[i].Vector(pass.tokens()), d_rows, d_table});
}

}  // namespace shoal::model
