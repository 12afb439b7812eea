#include "kernels/dropout.h"

#include "common/base/status.h"
#include "kernels/cpu/row_loops.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/dropout.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "kernels/cpu/philox-inl.h"
#include "kernels/cpu/row-inl.h"

HWY_BEFORE_NAMESPACE();
namespace shoal::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

template <class T>
void DropoutRow(const DropoutArgs& args, int64_t n) {
  const float* bias = RowOf<float>(args.bias, 0);
  const T* x = RowOf<T>(args.x, n);
  T* y = RowOf<T>(args.y, n);
  DropoutOfRow dropout(args.dropout, n);
  ForRow(args.x.dim(1), [&](int64_t i, int64_t, auto lanes) HWY_ATTR {
    RowVec v = lanes.Load(x + i);
    if (bias != nullptr) v = hn::Add(v, lanes.Load(bias + i));
    lanes.Store(dropout.Apply(i, v), y + i);
  });
}

void DropoutRows(const DropoutArgs& args, int64_t begin, int64_t end) {
  const auto drop = args.x.type() == DType::kF32 ? &DropoutRow<float> : &DropoutRow<Bf16>;
  for (int64_t n = begin; n < end; ++n) drop(args, n);
}

}  // namespace HWY_NAMESPACE
}  // namespace shoal::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace shoal::kernels {

HWY_EXPORT(DropoutRows);

void ApplyDropout(Device& device, const DropoutArgs& args) {
  const OpTimer timer(device.profile(), "dropout", MovedBytes({args.x, args.y}));
  SHOAL_CHECK(args.x.rank() == 2 && SameShape(args.x, args.y) && args.x.type() == args.y.type());
  SHOAL_CHECK(args.dropout.rate >= 0 && args.dropout.rate < 1);
  SHOAL_CHECK(!args.bias.present() || args.bias.dim(0) == args.x.dim(1));
  ForRows(Cpu(device), args.x.dim(0), args.x.dim(1), [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(DropoutRows)(args, begin, end);
  });
}

}  // namespace shoal::kernels
#endif  // HWY_ONCE
