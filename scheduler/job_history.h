// What users are told about a job.
#pragma once

#include <string>

#include "absl/time/time.h"
#include "common/base/types.h"
#include "proto/scheduler.pb.h"
#include "scheduler/actions.h"
#include "scheduler/records.pb.h"

namespace shoal::scheduler {

// Numbers the job's events, and passes each to the store, to watchers and, as text, to the log. A restart
// forgets nothing. Pure; not thread-safe. `out` must outlive it.
class JobHistory {
 public:
  JobHistory(JobId job, Outbox* out) : job_(job), out_(out) {}

  void Load(const JobStateRecord& record);
  void SaveTo(JobStateRecord* record) const;

  // Adds the next event of the history.
  void Add(absl::Time now, JobEvent event);
  void Message(absl::Time now, const std::string& text, LogLine::Level level = LogLine::Level::kInfo);
  void Warn(absl::Time now, const std::string& text) { Message(now, text, LogLine::Level::kWarning); }
  // Work is taken away from nodes that are alive, or something else is done that a healthy cluster does not
  // need: reports and counts it.
  void Intervene(absl::Time now, const std::string& why);
  uint64_t interventions() const { return interventions_; }
  uint64_t last_sequence() const { return next_sequence_ - 1; }  // of the newest event; 0: none yet

 private:
  const JobId job_;
  Outbox* const out_;
  uint64_t next_sequence_ = 1;
  uint64_t interventions_ = 0;
};

}  // namespace shoal::scheduler
