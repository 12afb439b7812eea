// The memory of a model: buffers planned while its layers are made, in one allocation. Buffers that are
// needed at different times share memory.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "kernels/device.h"
#include "kernels/memory_plan.h"
#include "kernels/tensor.h"
#include "model/batch.h"

namespace shoal::model {

// The first and the last step of a pass between which a buffer keeps its contents.
struct Lifetime {
  int first = 0;
  int last = 0;
};

class BufferSet;

// A matrix in planned memory, sized for the largest batch and cut to each batch. Copies refer to the same
// matrix.
class Buffer {
 public:
  Buffer() = default;  // none
  bool present() const { return set_ != nullptr; }
  // The first `rows` rows, or `size` elements. Valid once the set has allocated.
  kernels::Tensor Matrix(int64_t rows) const;
  kernels::Tensor Vector(int64_t size) const;

 private:
  friend class BufferSet;
  Buffer(const BufferSet* set, int index) : set_(set), index_(index) {}

  const BufferSet* set_ = nullptr;
  int index_ = 0;
};

// Must not move: buffers point to it.
class BufferSet {
 public:
  BufferSet() = default;
  BufferSet(const BufferSet&) = delete;
  BufferSet& operator=(const BufferSet&) = delete;

  Buffer Add(int64_t rows, int64_t columns, kernels::DType type, Lifetime lifetime);
  // Once, after the last Add: takes the memory from `device`, which must outlive the set.
  void Allocate(kernels::Device& device);
  int64_t size_bytes() const { return plan_.total_bytes; }

 private:
  friend class Buffer;
  struct Shape {
    int64_t rows = 0;
    int64_t columns = 0;
    kernels::DType type = kernels::DType::kF32;
  };
  // Memory of the buffer for `shape`, at most its size.
  kernels::Tensor At(int index, std::initializer_list<int64_t> shape) const;

  std::vector<Shape> shapes_;
  std::vector<kernels::BufferLifetime> lifetimes_;
  kernels::MemoryPlan plan_;
  kernels::DeviceKind device_ = kernels::DeviceKind::kCpu;
  std::unique_ptr<kernels::DeviceMemory> memory_;
};

// What a layer needs a buffer for.
enum class Use {
  kForward,   // within its forward
  kBackward,  // within its backward; a model that does not train has none
  kKept,      // from forward to backward; like kForward in a model that does not train
};

// What a layer is made with: the largest batch, where its buffers come from, and when it runs. Layers run
// forward in steps 0 to `head`, which is the head's, and backward in the steps after it, the last layer
// first.
struct LayerPlan {
  BufferSet* buffers = nullptr;  // outlives the layers
  BatchLimits limits;
  kernels::DType activations = kernels::DType::kF32;  // f32|bf16
  bool training = true;
  bool adversarial = false;  // with memory for perturbations of the tokens' vectors
  int head = 0;
  int step = 0;  // in which this layer runs forward

  // The same for another layer.
  LayerPlan At(int other_step) const;
  int backward_step() const { return 2 * head - step; }

  // An f32 buffer.
  Buffer Add(Use use, int64_t rows, int64_t columns) const {
    return Add(use, rows, columns, kernels::DType::kF32);
  }
  // [N,columns] in the activations' type.
  Buffer AddActivation(Use use, int64_t columns) const {
    return Add(use, limits.tokens, columns, activations);
  }
  Buffer AddActivation(Lifetime lifetime, int64_t columns) const {
    return buffers->Add(limits.tokens, columns, activations, lifetime);
  }
  Buffer Add(Use use, int64_t rows, int64_t columns, kernels::DType type) const;
  // An f32 buffer that keeps its contents from pass to pass.
  Buffer AddOfWholePass(int64_t rows, int64_t columns) const {
    return buffers->Add(rows, columns, kernels::DType::kF32, {0, 2 * head});
  }
};

}  // namespace shoal::model
