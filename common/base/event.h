// Something that happens once, to be waited for.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

#include "absl/time/time.h"

namespace shoal {

// Thread-safe. Waits by the monotonic clock: absl::Notification waits by the wall clock.
class Event {
 public:
  // Wakes all who wait, and lets nobody wait any more.
  void Notify() {
    const std::lock_guard<std::mutex> lock(mutex_);
    happened_ = true;
    changed_.notify_all();
  }

  // As if nothing had happened.
  void Reset() {
    const std::lock_guard<std::mutex> lock(mutex_);
    happened_ = false;
  }

  // False: `timeout` has passed without it.
  bool WaitFor(absl::Duration timeout) {
    std::unique_lock<std::mutex> lock(mutex_);
    return changed_.wait_until(lock, std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(timeout),
                               [this] { return happened_; });
  }

 private:
  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  bool happened_ = false;
};

}  // namespace shoal
