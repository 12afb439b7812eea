// A link of limited speed, as arithmetic: the sender asks how long its bytes take.
#pragma once

#include <algorithm>
#include <cstdint>

#include "absl/time/time.h"

namespace shoal::bench {

// A token bucket (ITU-T I.371's virtual scheduling form). Pure; not thread-safe. Times must not decrease.
//
// Bytes cross in sequence at `bits_per_second`. After a long enough pause `burst_bytes` cross at once,
// which compensates for a sender that is a little late, as the queue in front of a real link does.
class TokenBucket {
 public:
  // `bits_per_second` is positive.
  TokenBucket(double bits_per_second, uint64_t burst_bytes)
      : bits_per_second_(bits_per_second), burst_(TimeOf(burst_bytes)) {}

  // Sends `bytes` at `now`, after all that was sent before. Returns how long after `now` they have all
  // crossed.
  absl::Duration Take(absl::Time now, uint64_t bytes) {
    crossed_ = std::max(crossed_, now - burst_) + TimeOf(bytes);
    return std::max(crossed_ - now, absl::ZeroDuration());
  }

 private:
  absl::Duration TimeOf(uint64_t bytes) const {
    return absl::Seconds(8.0 * static_cast<double>(bytes) / bits_per_second_);
  }

  const double bits_per_second_;
  const absl::Duration burst_;                 // the time that `burst_bytes` take
  absl::Time crossed_ = absl::InfinitePast();  // when all bytes sent so far have crossed
};

}  // namespace shoal::bench
