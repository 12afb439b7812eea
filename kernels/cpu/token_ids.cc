#include "kernels/token_ids.h"

#include "common/base/status.h"

namespace shoal::kernels {

void TokenPositions(Device& /*device*/, const TokenPositionsArgs& args) {
  const int32_t* offsets = args.offsets.i32();
  int32_t* positions = args.positions.i32();
  const int64_t examples = args.offsets.dim(0) - 1;
  SHOAL_CHECK(args.positions.dim(0) == offsets[examples]);
  for (int64_t b = 0; b < examples; ++b) {
    const int32_t begin = offsets[b], end = offsets[b + 1];
    SHOAL_CHECK(begin < end && end - begin <= args.longest);
    for (int32_t i = begin; i < end; ++i) positions[i] = static_cast<int32_t>(i - begin + args.first);
  }
}

void NextTokenLabels(Device& /*device*/, const ConstTensor& tokens, const ConstTensor& offsets,
                     const Tensor& labels) {
  const int64_t count = tokens.dim(0);
  const int64_t examples = offsets.dim(0) - 1;
  SHOAL_CHECK(labels.dim(0) == count && offsets.i32()[examples] == count);
  for (int64_t n = 0; n + 1 < count; ++n) labels.i32()[n] = tokens.i32()[n + 1];
  for (int64_t b = 0; b < examples; ++b) {
    SHOAL_CHECK(offsets.i32()[b] < offsets.i32()[b + 1]);
    labels.i32()[offsets.i32()[b + 1] - 1] = kNoLabel;
  }
}

}  // namespace shoal::kernels
