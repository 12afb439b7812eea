#include "kernels/cpu/arena.h"

#include <new>

#include "catch2/catch.hpp"
#include "common/base/large_memory.h"

namespace shoal::kernels {
namespace {

TEST_CASE("an arena allocates only when it grows") {
  Arena arena;
  arena.Reserve(1000);
  std::byte* start = arena.At(0);
  arena.Reserve(10);
  CHECK(arena.At(0) == start);
  CHECK(arena.allocations() == 1);
  CHECK(reinterpret_cast<uintptr_t>(start) % kMemoryAlignment_bytes == 0);
  arena.Reserve(2000);
  CHECK(arena.allocations() == 2);
}

TEST_CASE("An arena that could not grow has no memory, and gets it when there is some again") {
  Arena arena;
  arena.Reserve(1000);
  large_memory_refusal_for_test = [](uint64_t) { return true; };
  CHECK_THROWS_AS(arena.Reserve(2000), std::bad_alloc);
  large_memory_refusal_for_test = nullptr;
  arena.Reserve(500);
  REQUIRE(arena.At(0) != nullptr);
  CHECK(arena.allocations() == 2);
}

}  // namespace
}  // namespace shoal::kernels
