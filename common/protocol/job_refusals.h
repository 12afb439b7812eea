// What a node remembers of the jobs that it refused.
#pragma once

#include <functional>
#include <optional>
#include <utility>

#include "common/base/types.h"
#include "proto/scheduler.pb.h"

namespace shoal {

// Sends refusals to the scheduler, and knows which views they answer already: each refusal counts, and after
// a few of them the job fails.
//
// One of an outdated training (JobRefused.outdated_training) is repeated in each new session, and for views
// of that training, until it is certain that the scheduler knows: nothing else shows it that its store is an
// older copy. It is forgotten when the scheduler closes the job, offers another one, sends a view of another
// training of it, or takes the lease.
//
// Not thread-safe.
class JobRefusals {
 public:
  // `report` sends a report if a session is open. It must neither block nor call back.
  explicit JobRefusals(std::function<void(NodeReport)> report) : report_(std::move(report)) {}

  // ---- the session's events ----
  void OnSessionOpened();
  void OnPrepareJob(JobId job);
  void OnCloseJob(JobId job);
  void OnLeaseLost() { outdated_.reset(); }
  // Whether the view belongs to a training that was refused as outdated: then it must not be installed. The
  // scheduler is about to know why.
  bool IsOutdated(const View& view);

  // Sends the refusal.
  void Refuse(const JobRefused& refused);
  // Whether the scheduler is about to get, in this session, a refusal of that job.
  bool HasRefused(JobId job) const { return refused_ == job; }

 private:
  const std::function<void(NodeReport)> report_;
  JobId refused_;                       // the last one, in this session; 0: none
  std::optional<JobRefused> outdated_;  // of an outdated training
};

}  // namespace shoal
