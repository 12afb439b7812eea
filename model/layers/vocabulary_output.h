// Logits over the vocabulary, and their loss.
#pragma once

#include "absl/types/span.h"
#include "kernels/loss.h"
#include "kernels/tensor.h"
#include "model/layers/buffers.h"
#include "model/layers/linear.h"
#include "model/layers/pass.h"
#include "model/recipe.h"

namespace shoal::model {

// Takes a fixed number of rows at a time: from their logits it computes the loss, then the logits' gradient
// in place, then the gradients of the rows and of the table. So memory for all logits is never needed.
// Chunks add to the table's gradient in order, and each is a whole block in the definition of products
// (kernels/gemm.h), so the bits are those of one product; the bias's gradient is a sum over chunks.
//
//   M: rows, C: channels, V: vocabulary
class VocabularyOutput {
 public:
  // `plan`: at the head's step.
  VocabularyOutput(const LayerPlan& plan, const LinearSpec& words);

  // Cross-entropy of x [M,C] and `labels` [M] i32 (negative: none), the gradients of the parameters and that
  // of x, `d_x` [M,C] out.
  kernels::LossSum Train(const Pass& pass, const kernels::ConstTensor& x, const kernels::ConstTensor& labels,
                         const kernels::Tensor& d_x) const;

  // The same without gradients; with `out` [M,V] the logits. Without `labels` there is no loss.
  kernels::LossSum Evaluate(const Pass& pass, const kernels::ConstTensor& x,
                            const kernels::ConstTensor& labels, absl::Span<float> out) const;

  int64_t vocabulary() const { return words_.out(); }

 private:
  template <typename Chunk>
  kernels::LossSum ForChunks(const Pass& pass, const kernels::ConstTensor& x, const Chunk& chunk) const;

  const Linear words_;
  const Buffer logits_;
};

}  // namespace shoal::model
