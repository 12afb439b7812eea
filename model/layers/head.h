// What is learned on top of the stack: from its output to the loss.
#pragma once

#include <memory>

#include "absl/types/span.h"
#include "kernels/loss.h"
#include "model/layers/buffers.h"
#include "model/layers/pass.h"
#include "model/recipe.h"

namespace shoal {

// Not thread-safe.
class Head {
 public:
  virtual ~Head() = default;

  // Loss of the batch, the gradient of the head's parameters and that of `hidden` [N,C], `d_hidden` [N,C]
  // out.
  virtual LossSum Train(const Pass& pass, const ConstTensor& hidden, const Tensor& d_hidden) = 0;

  // As Model::Evaluate says.
  virtual LossSum Evaluate(const Pass& pass, const ConstTensor& hidden, absl::Span<float> logits) = 0;
};

// `plan`: of the head's step.
std::unique_ptr<Head> MakeHead(const LayerPlan& plan, const ClassificationHeadSpec& spec);

// Logits of a fixed number of rows at a time become loss, then their own gradient, then that of the hidden
// rows and of the table, so there is never memory for all of them. Chunks add to the table's gradient in
// order, each a whole block of the products' definition (kernels/gemm.h): the bits are those of one product.
std::unique_ptr<Head> MakeHead(const LayerPlan& plan, const LanguageModelHeadSpec& spec);

}  // namespace shoal
