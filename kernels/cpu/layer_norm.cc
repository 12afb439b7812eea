#include "kernels/layer_norm.h"

#include <algorithm>
#include <cmath>

#include "common/base/status.h"
#include "kernels/cpu/on_thread.h"
#include "kernels/cpu/row_loops.h"
#include "kernels/cpu/token_sums.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/layer_norm.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "kernels/cpu/philox-inl.h"
#include "kernels/cpu/row-inl.h"

#ifndef SHOAL_KERNELS_LAYER_NORM_CPU_ONCE
#define SHOAL_KERNELS_LAYER_NORM_CPU_ONCE
namespace shoal::kernels {

// Where one block of tokens stores its sums; d_bias may be null.
struct NormPartials {
  float* d_gamma;
  float* d_beta;
  float* d_bias;
};

}  // namespace shoal::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace shoal::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// sum = residual + dropout(x + bias) for row n; returns its total.
template <class T>
float NormSum(const NormForwardArgs& args, int64_t n) {
  const T* x = RowOf<T>(args.x, n);
  const T* residual = RowOf<T>(args.residual, n);
  const float* bias = RowOf<float>(args.bias, 0);
  T* sum = RowOf<T>(args.sum, n);
  DropoutOfRow dropout(args.dropout, n);
  RowSum total;
  ForRow(args.x.dim(1), [&](int64_t i, int64_t part, auto lanes) HWY_ATTR {
    RowVec v = lanes.Load(x + i);
    if (bias != nullptr) v = hn::Add(v, lanes.Load(bias + i));
    v = dropout.Apply(i, v);
    if (residual != nullptr) v = hn::Add(lanes.Load(residual + i), v);
    if (sum != nullptr) {
      lanes.Store(v, sum + i);
      v = lanes.Load(sum + i);  // as backward will see it
    }
    total.Add(part, v);
  });
  return total.Join();
}

// Sum of (x - mean)^2.
template <class T>
float SumOfSquares(const T* x, int64_t channels, float mean) {
  RowSum total;
  ForRow(channels, [&](int64_t i, int64_t part, auto lanes) HWY_ATTR {
    const RowVec v = lanes.ZeroOutside(hn::Sub(lanes.Load(x + i), RowSet(mean)));
    total.MulAdd(part, v, v);
  });
  return total.Join();
}

template <class T>
void NormForwardRow(const NormForwardArgs& args, int64_t n) {
  const int64_t channels = args.x.dim(1);
  const float mean = NormSum<T>(args, n) / static_cast<float>(channels);
  const T* sum = args.sum.present() ? RowOf<T>(args.sum, n) : RowOf<T>(args.x, n);
  const float variance = SumOfSquares(sum, channels, mean) / static_cast<float>(channels);
  const float rstd = 1.0f / std::sqrt(variance + args.epsilon);
  if (args.mean.present()) {
    args.mean.f32()[n] = mean;
    args.rstd.f32()[n] = rstd;
  }
  const float* gamma = args.gamma.f32();
  const float* beta = args.beta.f32();
  T* y = RowOf<T>(args.y, n);
  ForRow(channels, [&](int64_t i, int64_t, auto lanes) HWY_ATTR {
    const RowVec normal = hn::Mul(hn::Sub(lanes.Load(sum + i), RowSet(mean)), RowSet(rstd));
    lanes.Store(hn::MulAdd(normal, lanes.Load(gamma + i), lanes.Load(beta + i)), y + i);
  });
}

void NormForwardRows(const NormForwardArgs& args, int64_t begin, int64_t end) {
  const auto forward = args.x.type() == DType::kF32 ? &NormForwardRow<float> : &NormForwardRow<Bf16>;
  for (int64_t n = begin; n < end; ++n) forward(args, n);
}

// One row of backward.
template <class T>
class NormBackwardRow {
 public:
  NormBackwardRow(const NormBackwardArgs& args, int64_t n)
      : channels_(args.sum.dim(1)),
        mean_(args.mean.f32()[n]),
        rstd_(args.rstd.f32()[n]),
        gamma_(args.gamma.f32()),
        sum_(RowOf<T>(args.sum, n)),
        d_y_(RowOf<T>(args.d_y, n)),
        d_y_more_(RowOf<T>(args.d_y_more, n)),
        d_sum_more_(RowOf<T>(args.d_sum_more, n)),
        d_sum_(RowOf<T>(args.d_sum, n)),
        d_x_(RowOf<T>(args.d_x, n)),
        dropout_(args.dropout, n) {}

  // Sums of the normalized row's gradient, and of that gradient times the normalized row.
  void Sums(const NormPartials& partials) {
    RowSum sum, dot;
    ForRow(channels_, [&](int64_t i, int64_t part, auto lanes) HWY_ATTR {
      const RowVec d_y = GradientOfY(lanes, i), normal = lanes.ZeroOutside(Normal(lanes, i));
      const RowVec d_normal = hn::Mul(d_y, lanes.Load(gamma_ + i));
      sum.Add(part, d_normal);
      dot.MulAdd(part, d_normal, normal);
      lanes.Store(hn::MulAdd(d_y, normal, lanes.Load(partials.d_gamma + i)), partials.d_gamma + i);
      lanes.Store(hn::Add(lanes.Load(partials.d_beta + i), d_y), partials.d_beta + i);
    });
    mean_of_gradient_ = sum.Join() / static_cast<float>(channels_);
    mean_of_dot_ = dot.Join() / static_cast<float>(channels_);
  }

  // d_sum = rstd (d_normal - mean of d_normal - normal * mean of d_normal * normal) + d_sum_more.
  void Gradients(float* d_bias) {
    ForRow(channels_, [&](int64_t i, int64_t, auto lanes) HWY_ATTR {
      const RowVec d_normal = hn::Mul(GradientOfY(lanes, i), lanes.Load(gamma_ + i));
      RowVec d = hn::Sub(d_normal, RowSet(mean_of_gradient_));
      d = hn::Mul(hn::NegMulAdd(Normal(lanes, i), RowSet(mean_of_dot_), d), RowSet(rstd_));
      if (d_sum_more_ != nullptr) d = hn::Add(d, lanes.Load(d_sum_more_ + i));
      lanes.Store(d, d_sum_ + i);
      d = dropout_.Apply(i, d);
      if (d_x_ != nullptr) lanes.Store(d, d_x_ + i);
      if (d_bias != nullptr) lanes.Store(hn::Add(lanes.Load(d_bias + i), d), d_bias + i);
    });
  }

 private:
  template <class Lanes>
  HWY_INLINE RowVec GradientOfY(Lanes lanes, int64_t i) const {
    const RowVec d_y = lanes.Load(d_y_ + i);
    return d_y_more_ == nullptr ? d_y : hn::Add(d_y, lanes.Load(d_y_more_ + i));
  }
  template <class Lanes>
  HWY_INLINE RowVec Normal(Lanes lanes, int64_t i) const {
    return hn::Mul(hn::Sub(lanes.Load(sum_ + i), RowSet(mean_)), RowSet(rstd_));
  }

  int64_t channels_;
  float mean_, rstd_;
  const float* gamma_;
  const T *sum_, *d_y_, *d_y_more_, *d_sum_more_;
  T *d_sum_, *d_x_;
  DropoutOfRow dropout_;
  float mean_of_gradient_ = 0, mean_of_dot_ = 0;
};

template <class T>
void NormBackwardTyped(const NormBackwardArgs& args, int64_t begin, int64_t end,
                       const NormPartials& partials) {
  for (float* sums : {partials.d_gamma, partials.d_beta, partials.d_bias}) {
    if (sums != nullptr) std::fill_n(sums, args.sum.dim(1), 0.0f);
  }
  for (int64_t n = begin; n < end; ++n) {
    NormBackwardRow<T> row(args, n);
    row.Sums(partials);
    row.Gradients(partials.d_bias);
  }
}

void NormBackwardRows(const NormBackwardArgs& args, int64_t begin, int64_t end,
                      const NormPartials& partials) {
  args.sum.type() == DType::kF32 ? NormBackwardTyped<float>(args, begin, end, partials)
                                 : NormBackwardTyped<Bf16>(args, begin, end, partials);
}

}  // namespace HWY_NAMESPACE
}  // namespace shoal::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace shoal::kernels {
namespace {

HWY_EXPORT(NormForwardRows);
HWY_EXPORT(NormBackwardRows);

// A parameter or statistic of `size` f32.
bool IsVector(const ConstTensor& x, int64_t size) {
  return x.rank() == 1 && x.dim(0) == size && x.type() == DType::kF32;
}

bool Fits(const ConstTensor& like, const ConstTensor& x) {
  return !x.present() || (SameShape(like, x) && x.type() == like.type());
}

void Check(const NormForwardArgs& args) {
  SHOAL_CHECK(args.x.rank() == 2 && args.y.present() && args.y.data() != args.sum.data());
  SHOAL_CHECK(Fits(args.x, args.residual) && Fits(args.x, args.sum) && Fits(args.x, args.y));
  const int64_t rows = args.x.dim(0), channels = args.x.dim(1);
  SHOAL_CHECK(IsVector(args.gamma, channels) && IsVector(args.beta, channels));
  SHOAL_CHECK(!args.bias.present() || IsVector(args.bias, channels));
  SHOAL_CHECK(args.mean.present() == args.rstd.present());
  SHOAL_CHECK(!args.mean.present() || (IsVector(args.mean, rows) && IsVector(args.rstd, rows)));
  SHOAL_CHECK(args.dropout.rate >= 0 && args.dropout.rate < 1);
  const bool is_sum = args.bias.present() || args.residual.present() || args.dropout.rate > 0;
  SHOAL_CHECK(!is_sum || args.sum.present());
}

void Check(const NormBackwardArgs& args) {
  SHOAL_CHECK(args.sum.rank() == 2 && args.d_y.present() && args.d_sum.present());
  for (const ConstTensor& x : {args.d_y, args.d_y_more, args.d_sum_more}) SHOAL_CHECK(Fits(args.sum, x));
  SHOAL_CHECK(Fits(args.sum, args.d_sum) && Fits(args.sum, args.d_x));
  const int64_t rows = args.sum.dim(0), channels = args.sum.dim(1);
  SHOAL_CHECK(IsVector(args.mean, rows) && IsVector(args.rstd, rows) && IsVector(args.gamma, channels));
  SHOAL_CHECK(IsVector(args.d_gamma, channels) && IsVector(args.d_beta, channels));
  SHOAL_CHECK(!args.d_bias.present() || IsVector(args.d_bias, channels));
  SHOAL_CHECK(args.dropout.rate == 0 || args.d_x.present());
}

}  // namespace

void NormForward(Device& device, const NormForwardArgs& args) {
  const OpTimer timer(device.profile(), "norm", MovedBytes({args.x, args.residual, args.sum, args.y}));
  Check(args);
  ForRows(Cpu(device), args.x.dim(0), args.x.dim(1), [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(NormForwardRows)(args, begin, end);
  });
}

void NormForwardOnThread(const NormForwardArgs& args) {
  Check(args);
  HWY_DYNAMIC_DISPATCH(NormForwardRows)(args, 0, args.x.dim(0));
}

void NormBackward(Device& device, const NormBackwardArgs& args) {
  const OpTimer timer(device.profile(), "norm backward",
                      MovedBytes({args.sum, args.d_y, args.d_y_more, args.d_sum_more, args.d_sum, args.d_x}));
  Check(args);
  TokenBlocks blocks(Cpu(device), args.sum.dim(0), args.sum.dim(1), 3);
  Cpu(device).pool().ParallelFor(blocks.count(), [&](int64_t block, int) {
    const NormPartials partials = {blocks.Partial(block, 0), blocks.Partial(block, 1),
                                   args.d_bias.present() ? blocks.Partial(block, 2) : nullptr};
    HWY_DYNAMIC_DISPATCH(NormBackwardRows)(args, blocks.begin(block), blocks.end(block), partials);
  });
  blocks.AddTo(0, args.d_gamma.f32());
  blocks.AddTo(1, args.d_beta.f32());
  if (args.d_bias.present()) blocks.AddTo(2, args.d_bias.f32());
}

}  // namespace shoal::kernels
#endif  // HWY_ONCE
