// Simulated time: events run one after the other in order of their time, those of one time in order of
// scheduling.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <random>
#include <utility>

#include "absl/time/time.h"

namespace shoal::simulation {

// A schedule is a pure function of its seed. Not thread-safe; nothing here has a thread.
class EventQueue {
 public:
  explicit EventQueue(uint64_t seed) : random_(seed) {}

  absl::Time now() const { return absl::UnixEpoch() + now_; }
  void After(absl::Duration delay, std::function<void()> event) {
    events_.emplace(std::make_pair(now_ + delay, sequence_++), std::move(event));
  }
  // Runs the next event; false when there is none.
  bool Step() {
    if (events_.empty()) return false;
    auto first = events_.begin();
    now_ = first->first.first;
    auto event = std::move(first->second);
    events_.erase(first);
    event();
    return true;
  }

  // ---- the schedule's luck ----
  bool Chance(double probability) {
    return std::uniform_real_distribution<double>(0, 1)(random_) < probability;
  }
  uint64_t Below(uint64_t n) { return random_() % n; }
  absl::Duration Between(absl::Duration low, absl::Duration high) {
    return low + absl::Microseconds(Below(absl::ToInt64Microseconds(high - low) + 1));
  }

 private:
  absl::Duration now_ = absl::ZeroDuration();
  uint64_t sequence_ = 0;
  std::map<std::pair<absl::Duration, uint64_t>, std::function<void()>> events_;
  std::mt19937_64 random_;
};

}  // namespace shoal::simulation
