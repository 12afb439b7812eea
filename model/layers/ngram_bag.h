#pragma once

#include <array>

#include "kernels/tensor.h"
#include "model/layers/buffers.h"
#include "model/layers/pass.h"
#include "model/recipe.h"

namespace shoal::model {

// A linear model of the n-grams in each example: one row of a table per n-gram, and no order (see
// NgramBagSpec). Not thread-safe.
class NgramBag {
 public:
  // `plan`: at the head's step.
  NgramBag(const LayerPlan& plan, const NgramBagSpec& spec);

  // `y` [B,L] out.
  void Forward(const Pass& pass, const kernels::Tensor& y);
  // The table's gradient, from that of y, for the pass that ran Forward last.
  void Backward(const Pass& pass, const kernels::ConstTensor& d_y);

 private:
  const NgramBagSpec spec_;
  std::array<Buffer, kMaxNgram> ids_;  // [N] i32, by length of the n-gram
  Buffer rows_;                        // [N,L]
  Buffer scaled_;                      // [B,L]
};

}  // namespace shoal::model
