#include "scheduler/metric_recorder.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/job/job_plan_check.h"
#include "common/job/schedule.h"
#include "common/protocol/contribution_stats.h"

namespace shoal::scheduler {
namespace {

// Then no round may ever be good again. The help of optimizer.skip_not_finite names it.
constexpr uint64_t kMaxSkippedInARow = 100;
constexpr uint64_t kMaxSkippedTold = 10;

}  // namespace

void MetricRecorder::Start(absl::Time now, Version version) {
  recorded_version_ = version.value();
  Restart(now);
}

void MetricRecorder::Load(absl::Time now, const JobStateRecord& record) {
  recorded_version_ = record.recorded_version();
  examples_ = record.examples();
  tokens_ = record.tokens();
  skipped_rounds_ = record.skipped_rounds();
  skipped_in_a_row_ = record.skipped_in_a_row();
  window_.set_skipped_in_a_row(skipped_in_a_row_);
  running_ms_ = record.running_ms();
  has_last_ = record.has_last_metric();
  last_ = record.last_metric();
  Restart(now);
  if (!record.has_window()) return;
  stored_window_ = record.window();
  window_.Load(now, record.window());
}

void MetricRecorder::SaveTo(JobStateRecord* record) const {
  record->set_recorded_version(recorded_version_);
  record->set_examples(examples_);
  record->set_tokens(tokens_);
  record->set_skipped_rounds(skipped_rounds_);
  record->set_skipped_in_a_row(skipped_in_a_row_);
  record->set_running_ms(running_ms_);
  if (has_last_) *record->mutable_last_metric() = last_;
  if (stored_window_) *record->mutable_window() = *stored_window_;
}

void MetricRecorder::CountRunningTime(absl::Time now, bool runs) {
  if (runs) ran_ += now - counted_;
  counted_ = now;
}

void MetricRecorder::CountMilliseconds() {
  const int64_t ms = absl::ToInt64Milliseconds(ran_);
  running_ms_ += ms;
  ran_ -= absl::Milliseconds(ms);
}

Failure MetricRecorder::AddRounds(absl::Time now, const ShardProgress& report) {
  // One report may contain rounds of several log intervals: assume that they took equal shares of the time
  // since the last report.
  const TrainingLength length = LengthOf(job_.plan());
  const absl::Time since = window_.newest();
  const int rounds = report.rounds_size();
  for (int i = 0; i < rounds; ++i) {
    const absl::Time at = since + (now - since) * (static_cast<double>(i + 1) / rounds);
    const uint64_t next = window_.version().value(), round = report.rounds(i).round();
    if (round >= length.rounds || !window_.Add(at, report.rounds(i))) continue;
    if (round > next) TellLost(now, next, round);
    if (report.rounds(i).skipped()) {
      TellSkipped(now, report.rounds(i));
      stored_window_ = window_.Save(now);  // so that it is not told again after a restart
      if (window_.skipped_in_a_row() >= kMaxSkippedInARow) {
        return absl::StrCat("round ", round, ": it and the ", kMaxSkippedInARow - 1,
                            " rounds before it were skipped: no loss or gradient was usable");
      }
    } else if (!std::isfinite(report.rounds(i).stats().loss())) {
      return absl::StrCat("round ", round, ": the loss is not a finite number");
    }
    if (IsDue(job_.spec().log_every(), length, window_.version())) Record(at);
  }
  const uint64_t stored = std::max(recorded_version_, stored_window_ ? stored_window_->version() : 0);
  if (window_.version().value() >= stored + kMaxRoundsUnstored) stored_window_ = window_.Save(now);
  return std::nullopt;
}

void MetricRecorder::TellSkipped(absl::Time now, const RoundStats& round) {
  const uint64_t count = skipped_rounds_ + window_.skipped();
  if (count > kMaxSkippedTold) return;
  const bool finite = std::isfinite(round.stats().loss()) && std::isfinite(round.gradient_norm());
  context_.history->Warn(
      now, absl::StrCat("round ", round.round(), " was skipped: ",
                        finite ? absl::StrCat("its gradient norm, ", round.gradient_norm(), ", is an outlier")
                               : "its loss or gradient is not finite",
                        count == kMaxSkippedTold ? "; further ones are only counted" : ""));
}

// The scheduler was away for longer than servers keep statistics.
void MetricRecorder::TellLost(absl::Time now, uint64_t from, uint64_t to) {
  context_.history->Warn(now,
                         absl::StrCat("metrics of rounds ", from + 1, " to ", to,
                                      " are lost: servers keep only those of the last ", kRoundStatisticsKept,
                                      " rounds while the scheduler is away; the job's counts of examples and "
                                      "tokens don't include them either"));
}

void MetricRecorder::RecordIfAny(absl::Time now) {
  if (window_.examples() > 0) Record(now);
}

void MetricRecorder::Record(absl::Time now) {
  last_ = window_.Record(now, LengthOf(job_.plan()).rounds_per_epoch);
  has_last_ = true;
  recorded_version_ = window_.version().value();
  examples_ += window_.examples();
  tokens_ += window_.tokens();
  skipped_rounds_ += window_.skipped();
  skipped_in_a_row_ = window_.skipped_in_a_row();
  CountMilliseconds();
  Restart(now);
  stored_window_.reset();
  JobEvent event;
  *event.mutable_metric() = last_;
  context_.history->Add(now, std::move(event));
}

void MetricRecorder::PublishProgress(absl::Time now) {
  if (window_.examples() == 0 || now - published_ < context_.options.progress_every) return;
  published_ = now;
  JobEvent event;
  *event.mutable_progress() = window_.Progress(now, LengthOf(job_.plan()).rounds_per_epoch);
  event.set_unix_ms(absl::ToUnixMillis(now));
  context_.out->Do(PublishEvent{JobId(job_.job()), std::move(event)});
}

void MetricRecorder::Finish(absl::Time now) {
  RecordIfAny(now);
  CountMilliseconds();
  ran_ = absl::ZeroDuration();
}

JobResult MetricRecorder::Totals() const {
  JobResult totals;
  totals.set_train_seconds(static_cast<double>(running_ms_) / 1000);
  totals.set_examples(examples_);
  totals.set_tokens(tokens_);
  totals.set_skipped_rounds(skipped_rounds_);
  return totals;
}

}  // namespace shoal::scheduler
