// Simulated time: events run one at a time, in order of their time; events with the same time run in the
// order in which they were scheduled.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <random>
#include <utility>
#include <vector>

#include "absl/time/time.h"

namespace shoal::simulation {

// Whether an event of this probability happens, given a random number.
inline bool IsHit(uint64_t random, double probability) {
  return static_cast<double>(random >> 11) * 0x1p-53 < probability;
}

// A schedule is a pure function of its seed. Not thread-safe; nothing here runs in a thread.
class EventQueue {
 public:
  explicit EventQueue(uint64_t seed) : random_(seed) {}

  // Monotonic.
  absl::Time now() const { return absl::UnixEpoch() + absl::Microseconds(now_us_); }
  absl::Duration elapsed() const { return absl::Microseconds(now_us_); }

  void After(absl::Duration delay, std::function<void()> event) {
    const int64_t us = now_us_ + std::max<int64_t>(0, absl::ToInt64Microseconds(delay));
    events_.push_back({us, sequence_++, std::move(event)});
    std::push_heap(events_.begin(), events_.end(), Later);
  }
  // Runs the next event; false when there is none.
  bool Step() {
    if (events_.empty()) return false;
    std::pop_heap(events_.begin(), events_.end(), Later);
    Event next = std::move(events_.back());
    events_.pop_back();
    now_us_ = next.us;
    next.run();
    return true;
  }
  uint64_t steps() const { return sequence_; }
  void Clear() { std::vector<Event>().swap(events_); }
  size_t waiting() const { return events_.size(); }

  // ---- random choices of the schedule ----
  bool Chance(double probability) { return probability > 0 && IsHit(random_(), probability); }
  uint64_t Below(uint64_t n) { return random_() % n; }
  absl::Duration Between(absl::Duration low, absl::Duration high) {
    return low + absl::Microseconds(Below(absl::ToInt64Microseconds(high - low) + 1));
  }

 private:
  struct Event {
    int64_t us;
    uint64_t sequence;
    std::function<void()> run;
  };
  static bool Later(const Event& a, const Event& b) {
    return a.us != b.us ? a.us > b.us : a.sequence > b.sequence;
  }

  int64_t now_us_ = 0;
  uint64_t sequence_ = 0;
  std::vector<Event> events_;  // a heap
  std::mt19937_64 random_;
};

}  // namespace shoal::simulation
