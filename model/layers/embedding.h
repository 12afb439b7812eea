#pragma once

#include <optional>

#include "kernels/embedding.h"
#include "model/layers/buffers.h"
#include "model/layers/norm.h"
#include "model/layers/pass.h"
#include "model/recipe.h"

namespace shoal::model {

// From token ids to the input of the stack: dropout(norm(scale * (word + position + type + perturbation))),
// with types and norm where the recipe has them, and a perturbation in adversarial training. Positions count
// from the start of each example. Not thread-safe.
class Embedding {
 public:
  Embedding(const LayerPlan& plan, const EmbeddingSpec& spec);

  // `x` [N,C] out. Examples must be neither empty nor longer than the table of positions (checked).
  void Forward(const Pass& pass, const kernels::Tensor& x);

  // Adds to the tables' gradients, for the pass that ran Forward last. `d_x_more` [N,C], optional, is added
  // to `d_x` [N,C].
  void Backward(const Pass& pass, const kernels::ConstTensor& d_x, const kernels::ConstTensor& d_x_more);

 private:
  // Fills in the ids that the batch does not have.
  void SetIds(const Pass& pass) const;
  kernels::ConstTensor Positions(const Pass& pass) const;
  // Token types; all 0 when the batch has none.
  kernels::ConstTensor Types(const Pass& pass) const;
  kernels::Dropout DropoutOf(const Pass& pass) const { return DropoutAt(pass, spec_.dropout, "embeddings"); }
  // Adds the perturbation of this pass.
  void Perturb(const Pass& pass, const kernels::Tensor& sum) const;
  // Gradient of the sum of the table rows.
  kernels::ConstTensor SumGradient(const Pass& pass, kernels::ConstTensor d_x,
                                   kernels::ConstTensor d_x_more) const;

  const EmbeddingSpec spec_;
  std::optional<Norm> norm_;
  const Buffer d_x_, d_sum_;
  const Buffer positions_, no_types_;  // [N] i32
  const Buffer perturbation_;          // [N,C] f32, kept from pass to pass
};

}  // namespace shoal::model
