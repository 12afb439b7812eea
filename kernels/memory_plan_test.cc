#include "kernels/memory_plan.h"

#include <random>

#include "catch2/catch.hpp"

namespace shoal::kernels {
namespace {

bool Overlap(const BufferLifetime& a, int64_t a_offset, const BufferLifetime& b, int64_t b_offset) {
  const bool in_time = a.first_step <= b.last_step && b.first_step <= a.last_step;
  return in_time && a_offset < b_offset + b.size_bytes && b_offset < a_offset + a.size_bytes;
}

TEST_CASE("no two buffers that live together overlap, and all are aligned and inside") {
  std::mt19937 random(7);
  for (int round = 0; round < 50; ++round) {
    std::vector<BufferLifetime> buffers(40);
    for (BufferLifetime& buffer : buffers) {
      buffer.first_step = static_cast<int>(random() % 30);
      buffer.last_step = buffer.first_step + static_cast<int>(random() % 10);
      buffer.size_bytes = static_cast<int64_t>(random() % 1000);
    }
    const MemoryPlan plan = PlanMemory(buffers);
    for (size_t i = 0; i < buffers.size(); ++i) {
      CHECK(plan.offsets[i] % static_cast<int64_t>(kMemoryAlignment_bytes) == 0);
      CHECK(plan.offsets[i] + buffers[i].size_bytes <= plan.total_bytes);
      for (size_t j = 0; j < i; ++j)
        CHECK_FALSE(Overlap(buffers[i], plan.offsets[i], buffers[j], plan.offsets[j]));
    }
  }
}

TEST_CASE("buffers that never meet share memory") {
  const std::vector<BufferLifetime> buffers = {{640, 0, 1}, {640, 2, 3}, {320, 4, 5}, {320, 4, 4}};
  CHECK(PlanMemory(buffers).total_bytes == 640);
}

}  // namespace
}  // namespace shoal::kernels
