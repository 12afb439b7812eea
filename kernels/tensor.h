// A non-owning view of numbers in memory. Dimensions are named in the glossary of kernels/README.md.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <type_traits>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "common/base/status.h"

namespace shoal::kernels {

// Backends, and so the memory that a tensor's elements are in.
enum class DeviceKind : uint8_t { kCpu };

enum class DType : uint8_t { kF32, kBf16, kI32 };

constexpr int64_t SizeOf(DType type) { return type == DType::kBf16 ? 2 : 4; }
absl::string_view DTypeName(DType type);

// The upper half of an f32. Arithmetic is done in f32.
struct Bf16 {
  uint16_t bits = 0;
};

// Exact.
float ToFloat(Bf16 x);
// Round to nearest, ties to even; NaN stays NaN.
Bf16 ToBf16(float x);

namespace internal {
template <typename T>
constexpr DType DTypeOf();
template <>
constexpr DType DTypeOf<float>() {
  return DType::kF32;
}
template <>
constexpr DType DTypeOf<Bf16>() {
  return DType::kBf16;
}
template <>
constexpr DType DTypeOf<int32_t>() {
  return DType::kI32;
}
}  // namespace internal

// View of rank 0 to 4 over memory that someone else owns and keeps alive. The last dimension is contiguous,
// and so are all inner ones; rows (the first dimension) may be `row_stride` elements apart, so that a view
// can be columns of a wider matrix. Void is `void` (Tensor: elements may be written) or `const void`
// (ConstTensor). Copying a view copies no element.
template <typename Void>
class BasicTensor {
 public:
  template <typename T>
  using Element = std::conditional_t<std::is_const_v<Void>, const T, T>;

  // No tensor: present() is false. For optional arguments.
  BasicTensor() = default;

  // Contiguous.
  BasicTensor(Void* data, DType type, std::initializer_list<int64_t> shape) : data_(data), type_(type) {
    SHOAL_CHECK(shape.size() <= 4);
    for (int64_t size : shape) shape_[rank_++] = size;
    row_stride_ = RowSize();
  }
  template <typename T, typename = std::enable_if_t<!std::is_void_v<T>>>
  BasicTensor(T* data, std::initializer_list<int64_t> shape)
      : BasicTensor(static_cast<Void*>(data), internal::DTypeOf<std::remove_const_t<T>>(), shape) {}

  // A Tensor is a ConstTensor.
  template <typename Other, typename = std::enable_if_t<std::is_const_v<Void> && !std::is_const_v<Other>>>
  BasicTensor(const BasicTensor<Other>& other)  // NOLINT(google-explicit-constructor)
      : data_(other.data_),
        type_(other.type_),
        device_(other.device_),
        rank_(other.rank_),
        shape_(other.shape_),
        row_stride_(other.row_stride_) {}

  bool present() const { return data_ != nullptr; }
  Void* data() const { return data_; }
  DType type() const { return type_; }
  DeviceKind device() const { return device_; }
  int rank() const { return rank_; }
  int64_t dim(int i) const {
    SHOAL_CHECK(i >= 0 && i < rank_);
    return shape_[i];
  }
  // Elements from one index of the first dimension to the next.
  int64_t row_stride() const { return row_stride_; }
  bool contiguous() const { return rank_ == 0 || row_stride_ == RowSize(); }
  int64_t size() const { return rank_ == 0 ? 1 : shape_[0] * RowSize(); }
  int64_t size_bytes() const { return size() * SizeOf(type_); }

  // Typed pointer to the first element; the type must be the view's, and the memory that of the CPU.
  template <typename T>
  Element<T>* as() const {
    SHOAL_CHECK(type_ == internal::DTypeOf<T>() && device_ == DeviceKind::kCpu);
    return static_cast<Element<T>*>(data_);
  }
  Element<float>* f32() const { return as<float>(); }
  Element<Bf16>* bf16() const { return as<Bf16>(); }
  Element<int32_t>* i32() const { return as<int32_t>(); }

  // The same view, of memory of this kind of device. Views of other memory than the CPU's are made with it.
  BasicTensor On(DeviceKind device) const {
    BasicTensor view = *this;
    view.device_ = device;
    return view;
  }
  // Rows [begin, end) of the first dimension.
  BasicTensor Rows(int64_t begin, int64_t end) const {
    SHOAL_CHECK(rank_ >= 1 && 0 <= begin && begin <= end && end <= shape_[0]);
    BasicTensor rows = *this;
    rows.data_ = Offset(begin * row_stride_);
    rows.shape_[0] = end - begin;
    return rows;
  }
  // Columns [begin, end) of a matrix; keeps its row stride.
  BasicTensor Columns(int64_t begin, int64_t end) const {
    SHOAL_CHECK(rank_ == 2 && 0 <= begin && begin <= end && end <= shape_[1]);
    BasicTensor columns = *this;
    columns.data_ = Offset(begin);
    columns.shape_[1] = end - begin;
    return columns;
  }
  // The same elements under another shape of the same size; the view must be contiguous.
  BasicTensor Reshape(std::initializer_list<int64_t> shape) const {
    const BasicTensor view = BasicTensor(data_, type_, shape).On(device_);
    SHOAL_CHECK(contiguous() && view.size() == size());
    return view;
  }

 private:
  template <typename Other>
  friend class BasicTensor;

  int64_t RowSize() const {
    int64_t size = 1;
    for (int i = 1; i < rank_; ++i) size *= shape_[i];
    return size;
  }
  Void* Offset(int64_t elements) const {
    using Byte = Element<std::byte>;
    return static_cast<Byte*>(data_) + elements * SizeOf(type_);
  }

  Void* data_ = nullptr;
  DType type_ = DType::kF32;
  DeviceKind device_ = DeviceKind::kCpu;
  int rank_ = 0;
  std::array<int64_t, 4> shape_ = {};
  int64_t row_stride_ = 1;
};

using Tensor = BasicTensor<void>;
using ConstTensor = BasicTensor<const void>;

// The elements of `span`, in the CPU's memory, as a vector.
template <typename T>
ConstTensor ViewOf(absl::Span<const T> span) {
  return {span.data(), {static_cast<int64_t>(span.size())}};
}

// "f32[12,384]", for messages.
std::string ToString(const ConstTensor& tensor);

}  // namespace shoal::kernels
