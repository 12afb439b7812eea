#include "model/buffers.h"

#include "common/base/status.h"

namespace shoal {

int BufferSet::Add(int64_t rows, int64_t columns, DType type, Lifetime lifetime) {
  shapes_.push_back({rows, columns, type});
  lifetimes_.push_back(
      {rows * columns * SizeOf(type), static_cast<int>(lifetime.first), static_cast<int>(lifetime.last)});
  return static_cast<int>(shapes_.size()) - 1;
}

void BufferSet::Allocate() {
  memory_ = PlanMemory(lifetimes_);
  arena_.Reserve(memory_.total_bytes);
}

Tensor BufferSet::Matrix(int buffer, int64_t rows) const {
  const Shape& shape = shapes_[buffer];
  SHOAL_CHECK(rows <= shape.rows);
  return {arena_.At(memory_.offsets[buffer]), shape.type, {rows, shape.columns}};
}

Tensor BufferSet::Vector(int buffer, int64_t size) const {
  const Shape& shape = shapes_[buffer];
  SHOAL_CHECK(size <= shape.rows * shape.columns);
  return {arena_.At(memory_.offsets[buffer]), shape.type, {size}};
}

}  // namespace shoal
