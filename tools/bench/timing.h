// Time of a piece of code.
#pragma once

#include <algorithm>
#include <chrono>
#include <limits>
#include <vector>

#include "absl/functional/function_ref.h"

namespace shoal::bench {

inline double SecondsOf(absl::FunctionRef<void()> fn) {
  const auto start = std::chrono::steady_clock::now();
  fn();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// The shortest of `repeats` runs, after one warm-up: the machine's speed when nothing disturbs it.
inline double BestSeconds(int repeats, absl::FunctionRef<void()> fn) {
  fn();
  double best = std::numeric_limits<double>::infinity();
  for (int i = 0; i < repeats; ++i) best = std::min(best, SecondsOf(fn));
  return best;
}

// Not empty.
inline double Median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

}  // namespace shoal::bench
