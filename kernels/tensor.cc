#include "kernels/tensor.h"

#include <cmath>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace shoal::kernels {

absl::string_view DTypeName(DType type) {
  switch (type) {
    case DType::kF32:
      return "f32";
    case DType::kBf16:
      return "bf16";
    case DType::kI32:
      return "i32";
  }
  return "?";
}

float ToFloat(Bf16 x) {
  const uint32_t bits = static_cast<uint32_t>(x.bits) << 16;
  float value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

Bf16 ToBf16(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof(bits));
  if (std::isnan(x)) return {static_cast<uint16_t>((bits >> 16) | 0x40)};
  const uint32_t half_minus_tie = 0x7fff + ((bits >> 16) & 1);
  return {static_cast<uint16_t>((bits + half_minus_tie) >> 16)};
}

std::string ToString(const ConstTensor& tensor) {
  std::string text = absl::StrCat(DTypeName(tensor.type()), "[");
  for (int i = 0; i < tensor.rank(); ++i) absl::StrAppend(&text, i > 0 ? "," : "", tensor.dim(i));
  return absl::StrCat(text, "]");
}

}  // namespace shoal::kernels
