#include "model/layers/buffers.h"

#include "common/base/status.h"

namespace shoal::model {

kernels::Tensor Buffer::Matrix(int64_t rows) const {
  SHOAL_CHECK(present());
  const BufferSet::Shape& shape = set_->shapes_[index_];
  SHOAL_CHECK(rows <= shape.rows);
  return set_->At(index_, {rows, shape.columns});
}

kernels::Tensor Buffer::Vector(int64_t size) const {
  SHOAL_CHECK(present());
  const BufferSet::Shape& shape = set_->shapes_[index_];
  SHOAL_CHECK(size <= shape.rows * shape.columns);
  return set_->At(index_, {size});
}

Buffer BufferSet::Add(int64_t rows, int64_t columns, kernels::DType type, Lifetime lifetime) {
  shapes_.push_back({rows, columns, type});
  lifetimes_.push_back({rows * columns * kernels::SizeOf(type), lifetime.first, lifetime.last});
  return {this, static_cast<int>(shapes_.size()) - 1};
}

void BufferSet::Allocate(kernels::Device& device) {
  plan_ = kernels::PlanMemory(lifetimes_);
  device_ = device.kind();
  memory_ = device.Allocate(plan_.total_bytes);
}

kernels::Tensor BufferSet::At(int index, std::initializer_list<int64_t> shape) const {
  return kernels::Tensor(memory_->At(plan_.offsets[index]), shapes_[index].type, shape).On(device_);
}

LayerPlan LayerPlan::At(int other_step) const {
  LayerPlan plan = *this;
  plan.step = other_step;
  return plan;
}

Buffer LayerPlan::Add(Use use, int64_t rows, int64_t columns, kernels::DType type) const {
  if (use == Use::kBackward && !training) return {};
  const int first = use == Use::kBackward ? backward_step() : step;
  const int last = use == Use::kForward || !training ? step : backward_step();
  return buffers->Add(rows, columns, type, {first, last});
}

}  // namespace shoal::model
