// The memory of a model: buffers planned while its parts are made, in one allocation; those that are needed
// at different times share memory.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/memory_plan.h"
#include "kernels/tensor.h"
#include "model/model.h"
#include "model/parameters.h"

namespace shoal {

// Of a training step, in order. A buffer keeps what it holds from the first phase of its lifetime to the
// last.
enum class Phase { kForward, kHead, kBackward };
struct Lifetime {
  Phase first = Phase::kForward;
  Phase last = Phase::kBackward;
};

// Views of planned memory, made once for the largest batch and cut to each.
class BufferSet {
 public:
  // A [rows, columns] buffer; `rows` of the largest batch. Valid once Allocate has run.
  int Add(int64_t rows, int64_t columns, DType type = DType::kF32, Lifetime lifetime = {});
  void Allocate();
  // The first `rows` rows.
  Tensor Matrix(int buffer, int64_t rows) const;
  Tensor Vector(int buffer, int64_t size) const;
  int64_t size_bytes() const { return arena_.size_bytes(); }

 private:
  struct Shape {
    int64_t rows = 0;
    int64_t columns = 0;
    DType type = DType::kF32;
  };
  std::vector<Shape> shapes_;
  std::vector<BufferLifetime> lifetimes_;
  MemoryPlan memory_;
  Arena arena_;
};

// What the parts of a model are made from. Borrowed: all of it outlives them.
struct ModelPlan {
  const ModelConfig& config;
  const Parameters& parameters;
  BatchLimits limits;
  DType activations = DType::kF32;  // f32|bf16
  BufferSet* buffers = nullptr;     // each part adds its own; the model allocates them when all are made

  // A buffer of the activations' type.
  int AddActivation(int64_t rows, int64_t columns, Lifetime lifetime = {}) const {
    return buffers->Add(rows, columns, activations, lifetime);
  }
};

}  // namespace shoal
