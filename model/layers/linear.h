// A linear map applied to rows.
#pragma once

#include <cstdint>

#include "kernels/gemm.h"
#include "kernels/tensor.h"
#include "model/layers/bottleneck.h"
#include "model/layers/buffers.h"
#include "model/layers/low_rank.h"
#include "model/layers/pass.h"
#include "model/recipe.h"

namespace shoal::model {

// y = x W^T (+ bias), with its low-rank additions, and a bottleneck adapter behind it.
//   x [N,in], y [N,out], W [out,in]
class Linear {
 public:
  // For a spec without low-rank additions.
  explicit Linear(const LinearSpec& spec);
  Linear(const LayerPlan& plan, const LinearSpec& spec)
      : spec_(spec), low_rank_(plan, spec), bottleneck_(plan, spec) {}

  void Forward(const Pass& pass, const kernels::ConstTensor& x, const kernels::Tensor& y) const;
  // Without bias().
  void ForwardProduct(const Pass& pass, const kernels::ConstTensor& x, const kernels::Tensor& y) const;

  // The weight's gradient, from that of y, unless it is frozen. For rows in several calls: all but the first
  // are `more` of them.
  void BackwardWeight(const Pass& pass, const kernels::ConstTensor& x, const kernels::ConstTensor& d_y,
                      bool more = false) const;
  // The gradient of the bias, where no kernel adds it to bias_gradient().
  void BackwardBias(const Pass& pass, const kernels::ConstTensor& d_y) const;
  // The gradient of x, `d_x` [N,in] out, and those of an adapter's parameters.
  void BackwardInput(const Pass& pass, const kernels::ConstTensor& d_y, const kernels::Tensor& d_x) const;

  // Whether it is more than one product, so that no kernel computes it together with what follows.
  bool has_additions() const { return low_rank_.present() || bottleneck_.present(); }
  int64_t in() const { return spec_.weight.columns; }
  int64_t out() const { return spec_.weight.rows; }
  int group() const { return spec_.weight.group; }
  kernels::ConstTensor weight(const Pass& pass) const { return pass.Value(spec_.weight); }
  // [out]: what is added to ForwardProduct's result; absent when there is nothing.
  kernels::ConstTensor bias(const Pass& pass) const {
    return adds_bias() ? pass.Value(*spec_.bias) : kernels::ConstTensor();
  }
  kernels::Tensor bias_gradient(const Pass& pass) const {
    return adds_bias() ? pass.Gradient(*spec_.bias) : kernels::Tensor();
  }

 private:
  // An adapter's input has it already.
  bool adds_bias() const { return spec_.bias && !bottleneck_.present(); }
  kernels::GemmArgs Product(const Pass& pass, const kernels::ConstTensor& x, const kernels::Tensor& y) const;

  const LinearSpec spec_;
  const LowRank low_rank_;
  const Bottleneck bottleneck_;
};

}  // namespace shoal::model
