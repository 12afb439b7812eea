#include "kernels/token_ids.h"

#include "common/base/status.h"

namespace shoal::kernels {
namespace {

uint64_t Mix(uint64_t x) {
  x += 0x9E3779B97F4A7C15u;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

// Of the n-gram of `length` tokens that ends with token n of an example that starts at `begin`.
uint64_t HashNgram(const int32_t* tokens, int32_t begin, int32_t n, int length) {
  uint64_t hash = static_cast<uint64_t>(length);
  for (int32_t i = n - length + 1; i <= n; ++i) {
    const int32_t token = i < begin ? -1 : tokens[i];
    hash = Mix(hash ^ static_cast<uint32_t>(token));
  }
  return hash;
}

}  // namespace

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

void NgramIds(Device& /*device*/, const NgramIdsArgs& args) {
  const int64_t examples = args.offsets.dim(0) - 1;
  const int32_t* offsets = args.offsets.i32();
  SHOAL_CHECK(args.length >= 1 && args.buckets >= 1 && args.buckets <= INT32_MAX);
  SHOAL_CHECK(args.ids.dim(0) == args.tokens.dim(0) && offsets[examples] == args.tokens.dim(0));
  for (int64_t b = 0; b < examples; ++b) {
    for (int32_t n = offsets[b]; n < offsets[b + 1]; ++n) {
      const uint64_t hash = HashNgram(args.tokens.i32(), offsets[b], n, args.length);
      args.ids.i32()[n] = static_cast<int32_t>(hash % static_cast<uint64_t>(args.buckets));
    }
  }
}

}  // namespace shoal::kernels
