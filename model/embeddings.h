// From token ids to the input of the stack, and back to the tables' gradients.
#pragma once

#include <cstdint>
#include <vector>

#include "model/buffers.h"
#include "model/sublayers.h"

namespace shoal {

// x = dropout(norm(word + position + type)); a family may have no types and no norm. Positions count from
// each example's start. Not thread-safe.
class Embeddings {
 public:
  // `x`: buffer of the result [N,C].
  Embeddings(const ModelPlan& plan, int x);

  // Examples must not be empty, nor longer than the table of positions (checked).
  void Forward(const Pass& pass);

  struct BackwardArgs {
    ConstTensor d_x;       // [N,C]
    ConstTensor d_x_more;  // [N,C], added to d_x; optional
    Tensor scratch;        // [N,C], aliases none of the others
    Tensor d_sum;          // [N,C] scratch; may alias d_x or d_x_more
  };
  // Adds to the tables' gradients; of the pass that ran Forward last.
  void Backward(const Pass& pass, const BackwardArgs& args);

 private:
  bool has_norm() const { return sum_ >= 0; }
  void Number(const Batch& batch);
  ConstTensor Types(const Pass& pass) const;
  ResidualNorm Norm(int64_t tokens) const;
  Dropout DropoutOf(const Pass& pass) const;
  // Gradient of the sum of the table rows.
  ConstTensor SumGradient(const Pass& pass, const BackwardArgs& args);

  const ModelConfig& config_;
  const EmbeddingOffsets& at_;
  BufferSet* const buffers_;
  const int x_;
  int sum_ = -1, mean_ = -1, rstd_ = -1;
  std::vector<int32_t> positions_;
  std::vector<int32_t> no_types_;  // all 0
};

}  // namespace shoal
