#include "common/base/wire.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "common/base/status.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "common/base/wire.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"

// What one pass over the data does. `format` is the wire format.
#ifndef SHOAL_COMMON_WIRE_OP_
#define SHOAL_COMMON_WIRE_OP_
namespace shoal {
namespace {

enum class WireOp {
  kEncode,          // out[format] = a[f32]
  kDecode,          // out[f32] = a[format]
  kRound,           // out[f32] = round(a[f32])
  kAddRound,        // out[f32] = round(a[f32] + b[f32])
  kDecodeAddRound,  // out[f32] = round(a[f32] + b[format])
};

// `count` elements; `out` may be `a` or `b`.
struct WirePass {
  WireOp op;
  WireFormat format;
  const uint8_t* a;
  const uint8_t* b;  // null for an op with one operand
  size_t count;
  uint8_t* out;
};

}  // namespace
}  // namespace shoal
#endif  // SHOAL_COMMON_WIRE_OP_

HWY_BEFORE_NAMESPACE();
namespace shoal {
namespace HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

using Floats = hn::ScalableTag<float>;
using Words = hn::RebindToUnsigned<Floats>;
using SignedWords = hn::RebindToSigned<Floats>;
using HalfWords = hn::Rebind<uint16_t, Floats>;
using Vec = hn::Vec<Floats>;

constexpr size_t kLanes = hn::MaxLanes(Floats());

// A format: Load and Store convert a vector from and to bytes, Round is what both together do to the values.
struct F32 {
  static constexpr size_t kBytes = 4;
  static HWY_INLINE Vec Load(const uint8_t* p) {
    return hn::LoadU(Floats(), reinterpret_cast<const float*>(p));
  }
  static HWY_INLINE void Store(Vec v, uint8_t* p) { hn::StoreU(v, Floats(), reinterpret_cast<float*>(p)); }
  static HWY_INLINE Vec Round(Vec v) { return v; }
};

struct Bf16 {
  static constexpr size_t kBytes = 2;
  static HWY_INLINE Vec Load(const uint8_t* p) {
    const auto halves = hn::LoadU(HalfWords(), reinterpret_cast<const uint16_t*>(p));
    return hn::BitCast(Floats(), hn::ShiftLeft<16>(hn::PromoteTo(Words(), halves)));
  }
  static HWY_INLINE void Store(Vec v, uint8_t* p) {
    const auto upper = hn::BitCast(SignedWords(), hn::ShiftRight<16>(RoundedBits(v)));
    hn::StoreU(hn::DemoteTo(HalfWords(), upper), HalfWords(), reinterpret_cast<uint16_t*>(p));
  }
  static HWY_INLINE Vec Round(Vec v) {
    return hn::BitCast(Floats(), hn::And(RoundedBits(v), hn::Set(Words(), 0xFFFF0000)));
  }

 private:
  // The upper half is the bf16. Adding just under half of its last unit, and one more when it is odd, carries
  // into it exactly when it must be rounded up. NaN gets the quiet bit instead: a carry could turn it into
  // infinity or zero.
  static HWY_INLINE hn::Vec<Words> RoundedBits(Vec v) {
    const auto bits = hn::BitCast(Words(), v);
    const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(Words(), 1));
    const auto rounded = hn::Add(bits, hn::Add(odd, hn::Set(Words(), 0x7FFF)));
    const auto quiet = hn::Or(bits, hn::Set(Words(), 0x00400000));
    return hn::IfThenElse(hn::RebindMask(Words(), hn::IsNaN(v)), quiet, rounded);
  }
};

// The processor does the conversions (F16C, AVX-512F), which IEEE 754 defines to the last bit.
struct F16 {
  using Halves = hn::Rebind<hwy::float16_t, Floats>;
  static constexpr size_t kBytes = 2;
  static HWY_INLINE Vec Load(const uint8_t* p) {
    return hn::PromoteTo(Floats(), hn::LoadU(Halves(), reinterpret_cast<const hwy::float16_t*>(p)));
  }
  static HWY_INLINE void Store(Vec v, uint8_t* p) {
    hn::StoreU(hn::DemoteTo(Halves(), v), Halves(), reinterpret_cast<hwy::float16_t*>(p));
  }
  static HWY_INLINE Vec Round(Vec v) { return hn::PromoteTo(Floats(), hn::DemoteTo(Halves(), v)); }
};

// The second operand of an op that has none.
struct None {
  static constexpr size_t kBytes = 0;
};

// out[Out] = Rounding(a[A] (+ b[B])), one vector.
template <typename A, typename B, typename Rounding, typename Out>
HWY_INLINE void Step(const uint8_t* a, const uint8_t* b, uint8_t* out) {
  Vec v = A::Load(a);
  if constexpr (B::kBytes != 0) v = hn::Add(v, B::Load(b));
  Out::Store(Rounding::Round(v), out);
}

template <typename A, typename B, typename Rounding, typename Out>
HWY_NOINLINE void Run(const WirePass& pass) {
  size_t i = 0;
  for (; i + kLanes <= pass.count; i += kLanes) {
    Step<A, B, Rounding, Out>(pass.a + i * A::kBytes, pass.b + i * B::kBytes, pass.out + i * Out::kBytes);
  }
  const size_t rest = pass.count - i;
  if (rest == 0) return;
  // The remainder goes through whole vectors in buffers: the same code, so the same bits.
  uint8_t a[kLanes * 4] = {}, b[kLanes * 4] = {}, out[kLanes * 4];
  std::memcpy(a, pass.a + i * A::kBytes, rest * A::kBytes);
  if constexpr (B::kBytes != 0) std::memcpy(b, pass.b + i * B::kBytes, rest * B::kBytes);
  Step<A, B, Rounding, Out>(a, b, out);
  std::memcpy(pass.out + i * Out::kBytes, out, rest * Out::kBytes);
}

template <typename Format>
void RunFormat(const WirePass& pass) {
  switch (pass.op) {
    case WireOp::kEncode:
      return Run<F32, None, F32, Format>(pass);
    case WireOp::kDecode:
      return Run<Format, None, F32, F32>(pass);
    case WireOp::kRound:
      return Run<F32, None, Format, F32>(pass);
    case WireOp::kAddRound:
      return Run<F32, F32, Format, F32>(pass);
    case WireOp::kDecodeAddRound:
      return Run<F32, Format, Format, F32>(pass);
  }
}

void RunPass(const WirePass& pass) {
  switch (pass.format) {
    case WIRE_FORMAT_F32:
      return RunFormat<F32>(pass);
    case WIRE_FORMAT_BF16:
      return RunFormat<Bf16>(pass);
    case WIRE_FORMAT_F16:
      return RunFormat<F16>(pass);
    default:
      SHOAL_CHECK(!"a wire format");
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace shoal
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace shoal {
namespace {

HWY_EXPORT(RunPass);

void Dispatch(const WirePass& pass) { HWY_DYNAMIC_DISPATCH(RunPass)(pass); }

template <typename T>
const uint8_t* BytesOf(absl::Span<const T> span) {
  return reinterpret_cast<const uint8_t*>(span.data());
}
uint8_t* BytesOf(absl::Span<float> span) { return reinterpret_cast<uint8_t*>(span.data()); }

}  // namespace

uint64_t WireElementBytes(WireFormat format) {
  SHOAL_CHECK(WireFormat_IsValid(format));
  return format == WIRE_FORMAT_F32 ? 4 : 2;
}

void Encode(WireFormat format, absl::Span<const float> values, absl::Span<uint8_t> out) {
  SHOAL_CHECK(out.size() == EncodedBytes(format, values.size()));
  if (format == WIRE_FORMAT_F32) {
    std::copy_n(BytesOf(values), out.size(), out.data());
    return;
  }
  Dispatch({WireOp::kEncode, format, BytesOf(values), nullptr, values.size(), out.data()});
}

void Decode(WireFormat format, absl::Span<const uint8_t> bytes, absl::Span<float> out) {
  SHOAL_CHECK(bytes.size() == EncodedBytes(format, out.size()));
  if (format == WIRE_FORMAT_F32) {
    std::copy_n(bytes.data(), bytes.size(), BytesOf(out));
    return;
  }
  Dispatch({WireOp::kDecode, format, bytes.data(), nullptr, out.size(), BytesOf(out)});
}

void RoundToWire(WireFormat format, absl::Span<float> values) {
  if (format == WIRE_FORMAT_F32) return;
  Dispatch({WireOp::kRound, format, BytesOf(values), nullptr, values.size(), BytesOf(values)});
}

void AddRoundToWire(WireFormat format, absl::Span<const float> left, absl::Span<const float> right,
                    absl::Span<float> out) {
  SHOAL_CHECK(left.size() == out.size() && right.size() == out.size());
  Dispatch({WireOp::kAddRound, format, BytesOf(left), BytesOf(right), out.size(), BytesOf(out)});
}

void DecodeAddRoundToWire(WireFormat format, absl::Span<const uint8_t> bytes, absl::Span<float> sum) {
  SHOAL_CHECK(bytes.size() == EncodedBytes(format, sum.size()));
  Dispatch({WireOp::kDecodeAddRound, format, BytesOf(sum), bytes.data(), sum.size(), BytesOf(sum)});
}

}  // namespace shoal
#endif  // HWY_ONCE
