#include "common/base/clock.h"

#include <chrono>

#include "absl/time/clock.h"

namespace shoal {

absl::Time MonotonicNow() {
  using SteadyClock = std::chrono::steady_clock;
  static const absl::Time wall = absl::Now();
  static const SteadyClock::time_point steady = SteadyClock::now();
  return wall + absl::FromChrono(SteadyClock::now() - steady);
}

}  // namespace shoal
