// A one-time event that threads can wait for.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

#include "absl/time/time.h"

namespace shoal {

// Thread-safe. Timeouts follow the monotonic clock; those of absl::Notification follow the wall clock.
class Event {
 public:
  // Wakes all waiters; later waits return at once.
  void Notify() {
    const std::lock_guard<std::mutex> lock(mutex_);
    happened_ = true;
    changed_.notify_all();
  }

  // Back to the initial state: not happened.
  void Reset() {
    const std::lock_guard<std::mutex> lock(mutex_);
    happened_ = false;
  }

  // Returns false when `timeout` has passed without the event.
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
