#include "common/base/backoff.h"

#include <algorithm>

#include "common/base/status.h"

namespace shoal {

Backoff::Backoff(uint64_t seed, BackoffOptions options)
    : options_(options), nominal_(options.first), random_(DeriveKey(seed, "backoff")) {
  SHOAL_CHECK(options.first > absl::ZeroDuration() && options.first <= options.max);
  SHOAL_CHECK(options.growth >= 1 && options.jitter >= 0 && options.jitter < 1);
}

absl::Duration Backoff::NextDelay() {
  const absl::Duration delay = nominal_ * (1 - options_.jitter * random_.NextDouble());
  nominal_ = std::min(nominal_ * options_.growth, options_.max);
  return delay;
}

}  // namespace shoal
