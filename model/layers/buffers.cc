#include "model/layers/buffers.h"

#include "common/base/status.h"

namespace shoal {

Tensor Buffer::Matrix(int64_t rows) const {
  SHOAL_CHECK(present());
  const BufferSet::Shape& shape = set_->shapes_[index_];
  SHOAL_CHECK(rows <= shape.rows);
  return {set_->At(index_), shape.type, {rows, shape.columns}};
}

Tensor Buffer::Vector(int64_t size) const {
  SHOAL_CHECK(present());
  const BufferSet::Shape& shape = set_->shapes_[index_];
  SHOAL_CHECK(size <= shape.rows * shape.columns);
  return {set_->At(index_), shape.type, {size}};
}

Buffer BufferSet::Add(int64_t rows, int64_t columns, DType type, Lifetime lifetime) {
  shapes_.push_back({rows, columns, type});
  lifetimes_.push_back({rows * columns * SizeOf(type), lifetime.first, lifetime.last});
  return {this, static_cast<int>(shapes_.size()) - 1};
}

void BufferSet::Allocate() {
  memory_ = PlanMemory(lifetimes_);
  arena_.Reserve(memory_.total_bytes);
}

LayerPlan LayerPlan::At(int other_step) const {
  LayerPlan plan = *this;
  plan.step = other_step;
  return plan;
}

Buffer LayerPlan::Add(Use use, int64_t rows, int64_t columns, DType type) const {
  if (use == Use::kBackward && !training) return {};
  const int first = use == Use::kBackward ? backward_step() : step;
  const int last = use == Use::kForward || !training ? step : backward_step();
  return buffers->Add(rows, columns, type, {first, last});
}

}  // namespace shoal
