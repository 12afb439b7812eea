// The longest recently measured wait.
#pragma once

#include <algorithm>

#include "absl/time/time.h"

namespace shoal::scheduler {

// Covers the last one to two periods. Pure; not thread-safe.
class LongestWait {
 public:
  void Add(absl::Time now, absl::Duration wait, absl::Duration period) {
    if (!measured_) started_ = now;
    if (now - started_ > period) {
      former_ = current_;
      current_ = absl::ZeroDuration();
      started_ = now;
    }
    measured_ = true;
    current_ = std::max(current_, wait);
  }
  bool measured() const { return measured_; }
  absl::Duration longest() const { return std::max(current_, former_); }
  // When the current period started.
  absl::Time started() const { return started_; }

 private:
  bool measured_ = false;
  absl::Duration current_, former_;
  absl::Time started_;
};

}  // namespace shoal::scheduler
