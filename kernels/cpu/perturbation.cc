#include "kernels/perturbation.h"

#include <cmath>

#include "common/base/philox.h"
#include "common/base/status.h"
#include "kernels/cpu/row_loops.h"

namespace shoal::kernels {
namespace {

// Calls fn with a null pointer of the tensor's element type.
template <class Tensor, class Fn>
auto OfType(const Tensor& x, const Fn& fn) {
  SHOAL_CHECK(x.type() == DType::kF32 || x.type() == DType::kBf16);
  return x.type() == DType::kF32 ? fn(static_cast<float*>(nullptr)) : fn(static_cast<Bf16*>(nullptr));
}

template <class T>
double NormOfRows(const ConstTensor& x, int64_t begin, int64_t end) {
  double sum = 0;
  for (int64_t n = begin; n < end; ++n) {
    const T* row = RowOf<T>(x, n);
    for (int64_t c = 0; c < x.dim(1); ++c) {
      const double value = ValueOf(row[c]);
      sum += value * value;
    }
  }
  return std::sqrt(sum);
}

// Of the rows [begin, end).
template <class T>
void StepRows(const PerturbationStepArgs& args, int64_t begin, int64_t end) {
  const double norm = NormOfRows<T>(args.gradient, begin, end);
  if (!(norm > 0) || !std::isfinite(norm)) return;
  const int64_t columns = args.delta.dim(1);
  const float factor = static_cast<float>(args.step / norm);
  for (int64_t n = begin; n < end; ++n) {
    const T* gradient = RowOf<T>(args.gradient, n);
    float* delta = RowOf<float>(args.delta, n);
    for (int64_t c = 0; c < columns; ++c) delta[c] += factor * ValueOf(gradient[c]);
  }
  const double length = NormOfRows<float>(args.delta, begin, end);
  if (length <= args.radius) return;
  const float shrink = static_cast<float>(args.radius / length);
  for (int64_t n = begin; n < end; ++n) {
    float* delta = RowOf<float>(args.delta, n);
    for (int64_t c = 0; c < columns; ++c) delta[c] *= shrink;
  }
}

// fn(first row, row after the last) for each example, in parallel.
template <class Fn>
void ForExamples(Device& device, const ConstTensor& offsets, const ConstTensor& rows, const Fn& fn) {
  SHOAL_CHECK(rows.rank() == 2 && offsets.rank() == 1 && offsets.dim(0) >= 1);
  const int32_t* offset = offsets.i32();
  SHOAL_CHECK(offset[0] == 0 && offset[offsets.dim(0) - 1] == rows.dim(0));
  Cpu(device).pool().ParallelFor(offsets.dim(0) - 1, [&](int64_t b, int) { fn(offset[b], offset[b + 1]); });
}

}  // namespace

void RandomPerturbation(Device& device, uint64_t key, uint64_t first_token, const ConstTensor& offsets,
                        double radius, const Tensor& delta) {
  const OpTimer timer(device.profile(), "random perturbation", MovedBytes({delta}));
  const int64_t columns = delta.dim(1);
  ForExamples(device, offsets, delta, [&](int64_t begin, int64_t end) {
    const float scale = static_cast<float>(radius / std::sqrt(static_cast<double>((end - begin) * columns)));
    for (int64_t n = begin; n < end; ++n) {
      float* row = RowOf<float>(delta, n);
      PhiloxStream random(DeriveKey(key, "token", {first_token + static_cast<uint64_t>(n)}));
      for (int64_t c = 0; c < columns; ++c) row[c] = scale * (2 * random.NextFloat() - 1);
    }
  });
}

void StepPerturbation(Device& device, const PerturbationStepArgs& args) {
  const OpTimer timer(device.profile(), "step perturbation", MovedBytes({args.gradient, args.delta}));
  SHOAL_CHECK(SameShape(args.gradient, args.delta));
  ForExamples(device, args.offsets, args.delta, [&](int64_t begin, int64_t end) {
    OfType(args.gradient,
           [&](auto* type) { StepRows<std::remove_pointer_t<decltype(type)>>(args, begin, end); });
  });
}

void AddPerturbation(Device& device, const ConstTensor& delta, const Tensor& y) {
  const OpTimer timer(device.profile(), "add perturbation", MovedBytes({delta, y}));
  SHOAL_CHECK(SameShape(delta, y));
  ForRows(Cpu(device), y.dim(0), y.dim(1), [&](int64_t begin, int64_t end) {
    OfType(y, [&](auto* type) {
      using T = std::remove_pointer_t<decltype(type)>;
      for (int64_t n = begin; n < end; ++n) {
        const float* from = RowOf<float>(delta, n);
        T* row = RowOf<T>(y, n);
        for (int64_t c = 0; c < y.dim(1); ++c) Assign(ValueOf(row[c]) + from[c], row[c]);
      }
    });
  });
}

}  // namespace shoal::kernels
