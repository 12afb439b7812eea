// What is learned on top of the stack: from its output to the loss.
#pragma once

#include <memory>

#include "absl/types/span.h"
#include "kernels/loss.h"
#include "model/layers/buffers.h"
#include "model/layers/pass.h"
#include "model/recipe.h"

namespace shoal::model {

// Not thread-safe.
class Head {
 public:
  virtual ~Head() = default;

  // Computes the loss of the batch, the gradient of the head's parameters and that of `hidden` [N,C],
  // `d_hidden` [N,C] out.
  virtual kernels::LossSum Train(const Pass& pass, const kernels::ConstTensor& hidden,
                                 const kernels::Tensor& d_hidden) = 0;

  // See Model::Evaluate.
  virtual kernels::LossSum Evaluate(const Pass& pass, const kernels::ConstTensor& hidden,
                                    absl::Span<float> logits) = 0;
};

// `plan`: at the head's step.
std::unique_ptr<Head> MakeHead(const LayerPlan& plan, const ClassificationHeadSpec& spec);
std::unique_ptr<Head> MakeHead(const LayerPlan& plan, const TokenClassificationHeadSpec& spec);
std::unique_ptr<Head> MakeHead(const LayerPlan& plan, const SpanHeadSpec& spec);
std::unique_ptr<Head> MakeHead(const LayerPlan& plan, const LanguageModelHeadSpec& spec);
std::unique_ptr<Head> MakeHead(const LayerPlan& plan, const MaskedLanguageModelHeadSpec& spec);

}  // namespace shoal::model
