#include "scheduler/metric_window.h"

#include <algorithm>
#include <limits>

namespace shoal::scheduler {
namespace {

constexpr absl::Duration kRecent = absl::Seconds(5);

double PerSecond(uint64_t count, absl::Duration time) {
  const double seconds = absl::ToDoubleSeconds(time);
  return seconds > 0 ? static_cast<double>(count) / seconds : 0;
}

}  // namespace

void MetricWindow::Start(absl::Time now, Version next) {
  start_ = now;
  next_ = next;
  examples_ = tokens_ = weight_ = skipped_ = 0;
  loss_ = 0;
  if (total_.examples == 0) recent_.assign(1, Moment{now, 0, 0});
}

MetricWindowRecord MetricWindow::Save(absl::Time now) const {
  MetricWindowRecord record;
  record.set_version(next_.value());
  record.set_examples(examples_);
  record.set_tokens(tokens_);
  record.set_weight(weight_);
  record.set_skipped(skipped_);
  record.set_skipped_in_a_row(skipped_in_a_row_);
  record.set_loss(loss_);
  record.set_learning_rate(learning_rate_);
  record.set_gradient_norm(gradient_norm_);
  record.set_elapsed_ms(absl::ToInt64Milliseconds(now - start_));
  return record;
}

void MetricWindow::Load(absl::Time now, const MetricWindowRecord& record) {
  Start(now - absl::Milliseconds(record.elapsed_ms()), Version(record.version()));
  examples_ = record.examples();
  tokens_ = record.tokens();
  weight_ = record.weight();
  skipped_ = record.skipped();
  skipped_in_a_row_ = record.skipped_in_a_row();
  loss_ = record.loss();
  learning_rate_ = record.learning_rate();
  gradient_norm_ = record.gradient_norm();
  recent_.assign(1, Moment{now, 0, 0});
}

bool MetricWindow::Add(absl::Time now, const RoundStats& round) {
  if (OutputOf(Round(round.round())) <= next_) return false;
  if (Round(round.round()) > RoundFrom(next_)) skipped_in_a_row_ = 0;  // those between are not known
  next_ = OutputOf(Round(round.round()));
  examples_ += round.stats().examples();
  tokens_ += round.stats().tokens();
  if (round.skipped()) {
    ++skipped_;
    ++skipped_in_a_row_;
  } else {
    weight_ += round.stats().weight();
    loss_ += round.stats().loss();
    skipped_in_a_row_ = 0;
  }
  learning_rate_ = round.learning_rate();
  gradient_norm_ = round.gradient_norm();
  total_ = {now, total_.examples + round.stats().examples(), total_.tokens + round.stats().tokens()};
  recent_.push_back(total_);
  while (recent_.size() > 2 && now - recent_[1].time >= kRecent) recent_.pop_front();
  return true;
}

MetricRecord MetricWindow::Record(absl::Time now, uint64_t rounds_per_epoch) const {
  MetricRecord record;
  record.set_round(next_.value());
  record.set_epoch(static_cast<double>(next_.value()) /
                   static_cast<double>(std::max<uint64_t>(1, rounds_per_epoch)));
  const bool all_skipped = weight_ == 0 && skipped_ > 0;
  record.set_loss(all_skipped ? std::numeric_limits<double>::quiet_NaN()
                              : (weight_ > 0 ? loss_ / static_cast<double>(weight_) : 0));
  record.set_learning_rate(learning_rate_);
  record.set_gradient_norm(gradient_norm_);
  record.set_skipped(skipped_);
  record.set_examples_per_second(PerSecond(examples_, now - start_));
  record.set_tokens_per_second(PerSecond(tokens_, now - start_));
  const bool is_short = now - start_ < kRecent && !recent_.empty() && recent_.front().time < start_;
  if (is_short) SetRecentSpeeds(now, &record);
  record.set_unix_ms(absl::ToUnixMillis(now));
  return record;
}

void MetricWindow::SetRecentSpeeds(absl::Time now, MetricRecord* record) const {
  if (recent_.empty()) return;
  const Moment& first = recent_.front();
  record->set_examples_per_second(PerSecond(total_.examples - first.examples, now - first.time));
  record->set_tokens_per_second(PerSecond(total_.tokens - first.tokens, now - first.time));
}

MetricRecord MetricWindow::Progress(absl::Time now, uint64_t rounds_per_epoch) const {
  MetricRecord record = Record(now, rounds_per_epoch);
  SetRecentSpeeds(now, &record);
  return record;
}

}  // namespace shoal::scheduler
