#include "kernels/tensor.h"

#include <limits>
#include <vector>

#include "catch2/catch.hpp"

namespace shoal::kernels {
namespace {

TEST_CASE("views of rows and columns keep the stride of the whole") {
  std::vector<float> data(12);
  for (int i = 0; i < 12; ++i) data[i] = static_cast<float>(i);
  const Tensor whole(data.data(), {3, 4});
  const Tensor part = whole.Rows(1, 3).Columns(2, 4);
  CHECK(part.dim(0) == 2);
  CHECK(part.dim(1) == 2);
  CHECK(part.row_stride() == 4);
  CHECK_FALSE(part.contiguous());
  CHECK(part.f32()[0] == 6);
  CHECK(part.f32()[part.row_stride() + 1] == 11);
  CHECK(ToString(part) == "f32[2,2]");
  CHECK(whole.Reshape({2, 6}).dim(1) == 6);
  CHECK_FALSE(Tensor().present());
}

TEST_CASE("bf16 rounds to nearest, ties to even, and keeps NaN") {
  CHECK(ToBf16(1.0f).bits == 0x3f80);
  CHECK(ToBf16(1.0f + 0x1p-8f).bits == 0x3f80);            // tie, down to even
  CHECK(ToBf16(1.0f + 0x1p-7f + 0x1p-8f).bits == 0x3f82);  // tie, up to even
  CHECK(ToBf16(1.0f + 0x1p-8f + 0x1p-20f).bits == 0x3f81);
  CHECK(ToFloat(ToBf16(-2.5f)) == -2.5f);
  CHECK(ToBf16(std::numeric_limits<float>::max()).bits == 0x7f80);
  CHECK(ToBf16(std::numeric_limits<float>::quiet_NaN()).bits > 0x7f80);
}

}  // namespace
}  // namespace shoal::kernels
