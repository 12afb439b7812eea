// How long to wait before trying again.
#pragma once

#include <cstdint>

#include "absl/time/time.h"
#include "common/base/philox.h"

namespace shoal {

struct BackoffOptions {
  absl::Duration first = absl::Milliseconds(50);
  absl::Duration max = absl::Seconds(2);
  double growth = 2;     // factor from one delay to the next, at least 1
  double jitter = 0.25;  // a delay is uniform over [1 - jitter, 1] of its nominal value, so that many clients
                         // don't retry at once
};

// Exponential delays with jitter. Pure: no clock; the same seed gives the same delays. Not thread-safe.
class Backoff {
 public:
  // `seed`: a different one for each process or peer, so that their delays differ.
  explicit Backoff(uint64_t seed, BackoffOptions options = {});

  // The delay before the next attempt. Grows with each call, up to options.max.
  absl::Duration NextDelay();

  // Call after a success: the next delay is the first one again.
  void Reset() { nominal_ = options_.first; }

 private:
  BackoffOptions options_;
  absl::Duration nominal_;
  PhiloxStream random_;
};

}  // namespace shoal
