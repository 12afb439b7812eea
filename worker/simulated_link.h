// A network card of limited speed, for benchmarks on one machine.
#pragma once

#include <cstdint>
#include <optional>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/base/token_bucket.h"

namespace shoal::worker {

// Full duplex: all that a worker's streams send shares one direction, all that they receive the other.
// Thread-safe; never blocks.
class SimulatedLink {
 public:
  // 0: no limit.
  explicit SimulatedLink(double bits_per_second) {
    if (bits_per_second <= 0) return;
    sent_.emplace(bits_per_second, kBurstBytes);
    received_.emplace(bits_per_second, kBurstBytes);
  }

  // How long a message takes from now, after those before it.
  absl::Duration Send(uint64_t bytes) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    return sent_ ? sent_->Take(MonotonicNow(), bytes) : absl::ZeroDuration();
  }
  absl::Duration Receive(uint64_t bytes) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    return received_ ? received_->Take(MonotonicNow(), bytes) : absl::ZeroDuration();
  }

 private:
  // The size of a block: while one is encoded or decoded, a real link carries the next.
  static constexpr uint64_t kBurstBytes = 1 << 20;

  absl::Mutex mutex_;
  std::optional<TokenBucket> sent_ ABSL_GUARDED_BY(mutex_);  // no bucket: no limit
  std::optional<TokenBucket> received_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace shoal::worker
