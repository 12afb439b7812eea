#include "common/base/thread_pool.h"

#include <atomic>
#include <vector>

#include "absl/synchronization/barrier.h"
#include "absl/time/clock.h"
#include "catch2/catch.hpp"

namespace shoal {
namespace {

TEST_CASE("each item runs exactly once, whatever the number of threads") {
  for (int threads : {1, 2, 5}) {
    ThreadPool pool(threads);
    for (int64_t items : {0, 1, 2, 1000}) {
      std::vector<std::atomic<int>> runs(items);
      pool.ParallelFor(items, [&](int64_t item, int) { ++runs[item]; });
      for (const auto& count : runs) CHECK(count == 1);
    }
  }
}

TEST_CASE("many loops in a row see what the ones before wrote") {
  ThreadPool pool(3);
  std::vector<int> values(64, 0);
  for (int loop = 0; loop < 2000; ++loop) {
    pool.ParallelFor(64, [&](int64_t item, int) { values[item] += values[item] == loop ? 1 : 1000000; });
  }
  CHECK(values == std::vector<int>(64, 2000));
}

TEST_CASE("no two items run at the same time under one thread's name") {
  ThreadPool pool(4);
  std::vector<std::atomic<int>> inside(4);
  std::atomic<int> overlaps{0};
  pool.ParallelFor(500, [&](int64_t, int thread) {
    overlaps += inside[thread].fetch_add(1) != 0;
    --inside[thread];
  });
  CHECK(overlaps == 0);
}

TEST_CASE("all threads work at once") {
  ThreadPool pool(3);
  absl::Barrier* barrier = new absl::Barrier(3);  // passed only when three items run together
  pool.ParallelFor(3, [&](int64_t, int) {
    if (barrier->Block()) delete barrier;
  });
}

TEST_CASE("threads that have gone to sleep wake up for the next loop") {
  ThreadPool pool(2);
  for (int i = 0; i < 5; ++i) {
    const absl::Time later = absl::Now() + absl::Milliseconds(2);  // far beyond the spinning
    while (absl::Now() < later) {
    }
    std::atomic<int> sum{0};
    pool.ParallelFor(10, [&](int64_t item, int) { sum += static_cast<int>(item); });
    CHECK(sum == 45);
  }
}

}  // namespace
}  // namespace shoal
