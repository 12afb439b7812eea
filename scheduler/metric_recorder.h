// A job's metrics and training totals.
#pragma once

#include <cstdint>
#include <optional>

#include "absl/time/time.h"
#include "common/base/types.h"
#include "proto/scheduler.pb.h"
#include "scheduler/job_context.h"
#include "scheduler/metric_window.h"
#include "scheduler/records.pb.h"

namespace shoal::scheduler {

// Records a MetricWindow in the history whenever one is due. It owns these fields of the state: the totals
// (recorded_version, examples, tokens, skipped_*, last_metric, running_ms) and `window`. A restart forgets
// the rounds since the window was last stored: servers report them in their new sessions. Pure; not
// thread-safe.
class MetricRecorder {
 public:
  // `job`, and whatever `context` refers to, must outlive it.
  MetricRecorder(const JobContext& context, const JobDefinition& job) : context_(context), job_(job) {}

  // The rounds before `version` belong to another job.
  void Start(absl::Time now, Version version);
  void Load(absl::Time now, const JobStateRecord& record);
  void SaveTo(JobStateRecord* record) const;

  // Counts the time up to `now` as training time if `runs`: all nodes of the view were present. Kept in
  // memory until something else is stored, so that the passing of time alone causes no write.
  void CountRunningTime(absl::Time now, bool runs);
  // Restarts the window, since the time before the first view does not count.
  void Restart(absl::Time now) { window_.Start(now, Version(recorded_version_)); }
  // Statistics depend only on the job, not on the view they come from: those of known rounds are dropped.
  // Fails the job for a loss that is not finite, and for too many rounds in a row that were skipped.
  Failure AddRounds(absl::Time now, const ShardProgress& report);
  // Records the rounds so far, if any: rounds that need not be run again must not be forgotten either.
  void RecordIfAny(absl::Time now);
  // Publishes progress to watchers when it is due.
  void PublishProgress(absl::Time now);
  // Training is over.
  void Finish(absl::Time now);

  // The version that the known rounds lead to.
  Version version() const { return window_.version(); }
  const MetricRecord& last() const { return last_; }
  // Has train_seconds, examples, tokens and skipped_rounds.
  JobResult Totals() const;

 private:
  void Record(absl::Time now);
  // Says why a round was skipped; of many, only of the first ones.
  void TellSkipped(absl::Time now, const RoundStats& round);
  // Says that the metrics of rounds [from, to) are lost.
  void TellLost(absl::Time now, uint64_t from, uint64_t to);
  void CountMilliseconds();

  const JobContext context_;
  const JobDefinition& job_;
  uint64_t recorded_version_ = 0;
  uint64_t examples_ = 0, tokens_ = 0;
  uint64_t skipped_rounds_ = 0, skipped_in_a_row_ = 0;
  int64_t running_ms_ = 0;
  MetricRecord last_;
  bool has_last_ = false;
  std::optional<MetricWindowRecord> stored_window_;

  // ---- what a restart forgets ----
  MetricWindow window_;
  absl::Time counted_ = absl::InfinitePast();  // the running time is counted up to here
  absl::Duration ran_;                         // not in running_ms_ yet
  absl::Time published_ = absl::InfinitePast();
};

}  // namespace shoal::scheduler
