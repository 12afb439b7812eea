// Statistics of the rounds since the last logged one.
#pragma once

#include <cstdint>
#include <deque>

#include "absl/time/time.h"
#include "common/base/types.h"
#include "proto/scheduler.pb.h"
#include "scheduler/records.pb.h"

namespace shoal::scheduler {

// Pure; not thread-safe.
class MetricWindow {
 public:
  // Rounds below `next` are already known and are dropped when they arrive again (after going back to a
  // checkpoint).
  void Start(absl::Time now, Version next);

  // Save returns what has been added since Start, for the store; Load restores the same window from it.
  MetricWindowRecord Save(absl::Time now) const;
  void Load(absl::Time now, const MetricWindowRecord& record);

  // Returns false if the round is already known.
  bool Add(absl::Time now, const RoundStats& round);

  // When the newest round was added, or the first window was started.
  absl::Time newest() const { return recent_.empty() ? start_ : recent_.back().time; }
  // The version that the rounds so far lead to.
  Version version() const { return next_; }
  uint64_t examples() const { return examples_; }
  uint64_t tokens() const { return tokens_; }
  uint64_t skipped() const { return skipped_; }
  // The last rounds so far; earlier windows count, too.
  uint64_t skipped_in_a_row() const { return skipped_in_a_row_; }
  void set_skipped_in_a_row(uint64_t count) { skipped_in_a_row_ = count; }

  // Means over the window; the loss without rounds that were skipped. Speeds, too, unless it is shorter than
  // the few seconds of Progress: rounds arrive several at a time, so a window between two of them may have
  // taken no time at all.
  MetricRecord Record(absl::Time now, uint64_t rounds_per_epoch) const;
  // Means over the window; speeds over the last few seconds.
  MetricRecord Progress(absl::Time now, uint64_t rounds_per_epoch) const;

 private:
  struct Moment {
    absl::Time time;
    uint64_t examples = 0;  // total
    uint64_t tokens = 0;
  };

  void SetRecentSpeeds(absl::Time now, MetricRecord* record) const;

  absl::Time start_;
  Version next_;
  uint64_t examples_ = 0;
  uint64_t tokens_ = 0;
  uint64_t weight_ = 0;
  uint64_t skipped_ = 0;
  uint64_t skipped_in_a_row_ = 0;
  double loss_ = 0;
  double learning_rate_ = 0;
  double gradient_norm_ = 0;
  Moment total_;
  std::deque<Moment> recent_;
};

}  // namespace shoal::scheduler
