#include "model/buffers.h"

#include "common/status.h"

namespace shoal {

int BufferSet::Add(int64_t rows, int64_t columns, DType type) {
  const int64_t bytes = rows * columns * SizeOf(type);
  shapes_.push_back({rows, columns, type, bytes_});
  bytes_ += (bytes + kBufferAlignment_bytes - 1) / kBufferAlignment_bytes * kBufferAlignment_bytes;
  return static_cast<int>(shapes_.size()) - 1;
}

void BufferSet::Allocate() { arena_.Reserve(bytes_); }

Tensor BufferSet::Matrix(int buffer, int64_t rows) const {
  const Shape& shape = shapes_[buffer];
  SHOAL_CHECK(rows <= shape.rows);
  return {arena_.At(shape.offset_bytes), shape.type, {rows, shape.columns}};
}

Tensor BufferSet::Vector(int buffer, int64_t size) const {
  const Shape& shape = shapes_[buffer];
  SHOAL_CHECK(size <= shape.rows * shape.columns);
  return {arena_.At(shape.offset_bytes), shape.type, {size}};
}

}  // namespace shoal
