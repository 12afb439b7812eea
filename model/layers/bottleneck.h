#pragma once

#include "kernels/tensor.h"
#include "model/layers/buffers.h"
#include "model/layers/pass.h"
#include "model/recipe.h"

namespace shoal::model {

// A bottleneck adapter behind a linear map: y = h + up(gelu(down(h))), where h is the map's result with its
// bias. Not thread-safe.
class Bottleneck {
 public:
  // Of a map that has one or none.
  Bottleneck(const LayerPlan& plan, const LinearSpec& spec);

  bool present() const { return spec_.has_value(); }
  // Where the map writes h [N,C].
  kernels::Tensor Input(const Pass& pass) const { return h_.Matrix(pass.tokens()); }
  void Forward(const Pass& pass, const kernels::Tensor& y) const;
  // Returns the gradient of h, valid until the next call, and writes that of its own parameters.
  kernels::ConstTensor Backward(const Pass& pass, const kernels::ConstTensor& d_y) const;

 private:
  const std::optional<BottleneckSpec> spec_;
  Buffer h_;                     // [N,C]
  Buffer down_, activated_;      // [N,size], before bias and activation, and after
  Buffer d_down_, reactivated_;  // [N,size]
  Buffer d_h_;                   // [N,C]
};

}  // namespace shoal::model
