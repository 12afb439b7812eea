#include "common/base/array_pool.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "catch2/catch.hpp"

namespace shoal {
namespace {

TEST_CASE("arrays don't overlap, are aligned and writable to their end") {
  // No element; one; a block that shares a huge page; one that does not; more than a page.
  for (uint64_t elements :
       {uint64_t{0}, uint64_t{1}, uint64_t{1} << 18, uint64_t{200000}, uint64_t{3} << 18}) {
    const auto pool = ArrayPool::Create();
    std::vector<FloatArray> arrays;
    for (int i = 0; i < 5; ++i) {
      arrays.push_back(pool->Acquire(elements));
      std::fill_n(arrays.back().get(), elements, static_cast<float>(i));
    }
    for (int i = 0; i < 5; ++i) {
      CHECK(reinterpret_cast<uintptr_t>(arrays[i].get()) % 64 == 0);
      for (uint64_t e = 0; e < elements; e += 997) REQUIRE(arrays[i].get()[e] == static_cast<float>(i));
      if (elements > 0) CHECK(arrays[i].get()[elements - 1] == static_cast<float>(i));
    }
  }
}

TEST_CASE("a released array is handed out again, to its size only") {
  const auto pool = ArrayPool::Create();
  float* const first = pool->Acquire(100).get();
  CHECK(pool->Acquire(100).get() == first);
  CHECK(pool->Acquire(101).get() != first);
  CHECK(pool->allocated_bytes() == 201 * sizeof(float));
}

TEST_CASE("blocks share huge pages: no more memory than a page's worth beyond what is used") {
  const auto pool = ArrayPool::Create();
  const uint64_t block = uint64_t{1} << 18;  // 1 MiB
  std::vector<FloatArray> arrays;
  for (uint64_t n = 1; n <= 7; ++n) {
    arrays.push_back(pool->Acquire(block));
    CHECK(pool->allocated_bytes() == (n + 1) / 2 * (uint64_t{2} << 20));
  }
}

TEST_CASE("arrays keep their pool alive") {
  FloatArray array = ArrayPool::Create()->Acquire(1000);
  std::fill_n(array.get(), 1000, 1.0f);
  CHECK(array.get()[999] == 1.0f);
}

}  // namespace
}  // namespace shoal
