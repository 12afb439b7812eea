#include "kernels/activation.h"

#include <algorithm>

#include "common/base/status.h"
#include "kernels/cpu/on_thread.h"
#include "kernels/cpu/row_loops.h"
#include "kernels/cpu/token_sums.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/activation.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "kernels/cpu/math-inl.h"
#include "kernels/cpu/row-inl.h"

HWY_BEFORE_NAMESPACE();
namespace shoal::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Each function f has Value, f(x), and Slope, f'(x).
struct IdentityFunction {
  static HWY_INLINE RowVec Value(RowVec x) { return x; }
  static HWY_INLINE RowVec Slope(RowVec /*x*/) { return RowSet(1.0f); }
};

struct GeluFunction {
  static HWY_INLINE RowVec Value(RowVec x) {
    RowVec exponential;
    return hn::Mul(x, NormalDistribution(RowTag(), x, exponential));
  }
  // Phi(x) + x times the density, which is exp(-x^2/2) / sqrt(2 pi).
  static HWY_INLINE RowVec Slope(RowVec x) {
    RowVec exponential;
    const RowVec distribution = NormalDistribution(RowTag(), x, exponential);
    return hn::MulAdd(hn::Mul(x, RowSet(0.39894228f)), exponential, distribution);
  }
};

struct GeluTanhFunction {
  static constexpr float kScale = 0.79788456f;  // sqrt(2 / pi)
  static constexpr float kCubic = 0.044715f;

  static HWY_INLINE RowVec TanhOf(RowVec x, RowVec square) {
    const RowVec inner = hn::Mul(x, hn::MulAdd(square, RowSet(kScale * kCubic), RowSet(kScale)));
    return Tanh(RowTag(), inner);
  }
  static HWY_INLINE RowVec Value(RowVec x) {
    const RowVec half = hn::Mul(x, RowSet(0.5f));
    return hn::MulAdd(half, TanhOf(x, hn::Mul(x, x)), half);
  }
  static HWY_INLINE RowVec Slope(RowVec x) {
    const RowVec square = hn::Mul(x, x), tanh = TanhOf(x, square), half = RowSet(0.5f);
    const RowVec tanh_slope = hn::NegMulAdd(tanh, tanh, RowSet(1.0f));
    const RowVec inner_slope = hn::MulAdd(square, RowSet(3 * kScale * kCubic), RowSet(kScale));
    const RowVec first = hn::MulAdd(half, tanh, half);
    return hn::MulAdd(hn::Mul(hn::Mul(half, x), tanh_slope), inner_slope, first);
  }
};

struct ReluFunction {
  static HWY_INLINE RowVec Value(RowVec x) { return hn::Max(hn::Zero(RowTag()), x); }
  static HWY_INLINE RowVec Slope(RowVec x) {
    return hn::IfThenElseZero(hn::Gt(x, hn::Zero(RowTag())), RowSet(1.0f));
  }
};

struct TanhFunction {
  static HWY_INLINE RowVec Value(RowVec x) { return Tanh(RowTag(), x); }
  static HWY_INLINE RowVec Slope(RowVec x) {
    const RowVec y = Tanh(RowTag(), x);
    return hn::NegMulAdd(y, y, RowSet(1.0f));
  }
};

struct SiluFunction {
  static HWY_INLINE RowVec Value(RowVec x) { return hn::Mul(x, Sigmoid(RowTag(), x)); }
  static HWY_INLINE RowVec Slope(RowVec x) {
    const RowVec y = Sigmoid(RowTag(), x);
    return hn::Mul(y, hn::MulAdd(x, hn::Sub(RowSet(1.0f), y), RowSet(1.0f)));
  }
};

struct SigmoidFunction {
  static HWY_INLINE RowVec Value(RowVec x) { return Sigmoid(RowTag(), x); }
  static HWY_INLINE RowVec Slope(RowVec x) {
    const RowVec y = Sigmoid(RowTag(), x);
    return hn::Mul(y, hn::Sub(RowSet(1.0f), y));
  }
};

template <class T, class Function>
void ActivationForwardPiece(const ActivationForwardArgs& args, const Piece& piece) {
  const float* bias = RowOf<float>(args.bias, 0);
  for (int64_t n = piece.row_begin; n < piece.row_end; ++n) {
    const T* x = RowOf<T>(args.x, n);
    T* y = RowOf<T>(args.y, n);
    ForRow(piece.columns(), [&](int64_t i, int64_t, auto lanes) HWY_ATTR {
      i += piece.column_begin;
      RowVec v = lanes.Load(x + i);
      if (bias != nullptr) v = hn::Add(v, lanes.Load(bias + i));
      lanes.Store(Function::Value(v), y + i);
    });
  }
}

// Rows [begin, end); adds d_x to `d_bias`, which may be null.
template <class T, class Function>
void ActivationBackwardRows(const ActivationBackwardArgs& args, int64_t begin, int64_t end, float* d_bias) {
  const float* bias = RowOf<float>(args.bias, 0);
  for (int64_t n = begin; n < end; ++n) {
    const T* x = RowOf<T>(args.x, n);
    const T* d_y = RowOf<T>(args.d_y, n);
    T* d_x = RowOf<T>(args.d_x, n);
    T* y = RowOf<T>(args.y, n);
    ForRow(args.x.dim(1), [&](int64_t i, int64_t, auto lanes) HWY_ATTR {
      RowVec v = lanes.Load(x + i);
      if (bias != nullptr) v = hn::Add(v, lanes.Load(bias + i));
      const RowVec d = hn::Mul(lanes.Load(d_y + i), Function::Slope(v));
      if (y != nullptr) lanes.Store(Function::Value(v), y + i);
      lanes.Store(d, d_x + i);
      if (d_bias != nullptr) lanes.Store(hn::Add(lanes.Load(d_bias + i), d), d_bias + i);
    });
  }
}

// Calls fn with an object of the function's class.
template <class Fn>
void WithFunction(Activation activation, const Fn& fn) {
  switch (activation) {
    case Activation::kIdentity:
      return fn(IdentityFunction());
    case Activation::kGelu:
      return fn(GeluFunction());
    case Activation::kGeluTanh:
      return fn(GeluTanhFunction());
    case Activation::kRelu:
      return fn(ReluFunction());
    case Activation::kTanh:
      return fn(TanhFunction());
    case Activation::kSilu:
      return fn(SiluFunction());
    case Activation::kSigmoid:
      return fn(SigmoidFunction());
  }
}

void ActivationForwardTyped(const ActivationForwardArgs& args, const Piece& piece) {
  WithFunction(args.activation, [&](auto function) {
    using Function = decltype(function);
    args.x.type() == DType::kF32 ? ActivationForwardPiece<float, Function>(args, piece)
                                 : ActivationForwardPiece<Bf16, Function>(args, piece);
  });
}

void ActivationBackwardTyped(const ActivationBackwardArgs& args, int64_t begin, int64_t end, float* d_bias) {
  WithFunction(args.activation, [&](auto function) {
    using Function = decltype(function);
    args.x.type() == DType::kF32 ? ActivationBackwardRows<float, Function>(args, begin, end, d_bias)
                                 : ActivationBackwardRows<Bf16, Function>(args, begin, end, d_bias);
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace shoal::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace shoal::kernels {
namespace {

HWY_EXPORT(ActivationForwardTyped);
HWY_EXPORT(ActivationBackwardTyped);

bool Fits(const ConstTensor& like, const ConstTensor& x) {
  return like.rank() == 2 && SameShape(like, x) && x.type() == like.type();
}

bool IsBias(const ConstTensor& bias, int64_t columns) {
  return !bias.present() || (bias.rank() == 1 && bias.dim(0) == columns && bias.type() == DType::kF32);
}

}  // namespace

void ActivationForward(Device& device, const ActivationForwardArgs& args) {
  const OpTimer timer(device.profile(), "activation", MovedBytes({args.x, args.y}));
  SHOAL_CHECK(Fits(args.x, args.y) && IsBias(args.bias, args.x.dim(1)));
  ForPieces(Cpu(device), args.x.dim(0), args.x.dim(1), [&](const Piece& piece) {
    HWY_DYNAMIC_DISPATCH(ActivationForwardTyped)(args, piece);
  });
}

void ActivationForwardOnThread(const ActivationForwardArgs& args) {
  SHOAL_CHECK(Fits(args.x, args.y) && IsBias(args.bias, args.x.dim(1)));
  HWY_DYNAMIC_DISPATCH(ActivationForwardTyped)(args, {0, args.x.dim(0), 0, args.x.dim(1)});
}

void ActivationBackward(Device& device, const ActivationBackwardArgs& args) {
  const OpTimer timer(device.profile(), "activation backward",
                      MovedBytes({args.x, args.d_y, args.d_x, args.y}));
  const int64_t columns = args.x.dim(1);
  SHOAL_CHECK(Fits(args.x, args.d_y) && Fits(args.x, args.d_x));
  SHOAL_CHECK(!args.y.present() || Fits(args.x, args.y));
  SHOAL_CHECK(IsBias(args.bias, columns) && IsBias(args.d_bias, columns));
  TokenBlocks blocks(Cpu(device), args.x.dim(0), columns, args.d_bias.present() ? 1 : 0);
  Cpu(device).pool().ParallelFor(blocks.count(), [&](int64_t block, int) {
    float* d_bias = args.d_bias.present() ? blocks.Partial(block, 0) : nullptr;
    if (d_bias != nullptr) std::fill_n(d_bias, columns, 0.0f);
    HWY_DYNAMIC_DISPATCH(ActivationBackwardTyped)(args, blocks.begin(block), blocks.end(block), d_bias);
  });
  if (args.d_bias.present()) blocks.AddTo(0, args.d_bias.f32());
}

}  // namespace shoal::kernels
#endif  // HWY_ONCE
