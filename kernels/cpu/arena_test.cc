#include "kernels/cpu/arena.h"

#include <catch2/catch.hpp>

namespace shoal {
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

}  // namespace
}  // namespace shoal
