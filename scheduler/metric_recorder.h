// A job's metrics, and how much it has been trained.
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

// Records a MetricWindow in the history whenever one is due. Of the state it owns what these come to
// (recorded_version, examples, tokens, last_metric, running_ms) and `window`. A restart forgets the rounds
// since the window was stored last: servers report them in their new sessions. Pure; not thread-safe.
class MetricRecorder {
 public:
  // What `context` refers to, and `job`, must outlive it.
  MetricRecorder(const JobContext& context, const JobDefinition& job) : context_(context), job_(job) {}

  // The rounds before `version` are another job's.
  void Start(absl::Time now, Version version);
  void Load(absl::Time now, const JobStateRecord& record);
  void SaveTo(JobStateRecord* record) const;

  // Time until now counts as training if all nodes of the view were there. Kept in memory until something is
  // stored anyway, so that no store is written for a passing moment.
  void CountRunningTime(absl::Time now, bool runs);
  // The time before the first view is nobody's.
  void Restart(absl::Time now) { window_.Start(now, Version(recorded_version_)); }
  // Statistics are a function of the job, whatever view they come from: those of known rounds are dropped.
  // Fails the job for a loss that is not finite.
  Failure AddRounds(absl::Time now, const ShardProgress& report);
  // Rounds that need not be run again must not be forgotten either. Nothing when there are none.
  void RecordIfAny(absl::Time now);
  // To those who watch, when it is time.
  void PublishProgress(absl::Time now);
  // Training is over.
  void Finish(absl::Time now);

  // That the known rounds lead to.
  Version version() const { return window_.version(); }
  const MetricRecord& last() const { return last_; }
  // With train_seconds, examples and tokens.
  JobResult Totals() const;

 private:
  void Record(absl::Time now);
  // Those of the rounds [from, to).
  void TellLost(absl::Time now, uint64_t from, uint64_t to);
  void CountMilliseconds();

  const JobContext context_;
  const JobDefinition& job_;
  uint64_t recorded_version_ = 0;
  uint64_t examples_ = 0, tokens_ = 0;
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
