// Decides which job a worker holds, and which one it prepares.
#pragma once

#include <cstdint>
#include <optional>

#include "proto/scheduler.pb.h"

namespace shoal::worker {

// Pure: takes directives in order; the newest PrepareJob counts. Not thread-safe.
class JobChoice {
 public:
  // True: the held job satisfies the request, so held() must be reported again. False: its preparation is
  // wanted from now on, instead of any other.
  bool OnPrepare(const PrepareJob& request);

  // True: the held job has ended and must be dropped. A CloseJob may come after the PrepareJob of the next
  // job (in answer to a late report of the previous one): it affects only its own job.
  bool OnClose(uint64_t job);

  // The preparation that is wanted; nullopt: none.
  const std::optional<PrepareJob>& wanted() const { return wanted_; }
  // Whether `request`, which has been in preparation since the last Clear, is still what is wanted: the
  // number alone is not enough, since each cluster counts its jobs from 1.
  bool Wants(const PrepareJob& request) const;

  // The preparation of the wanted `request` has succeeded, or failed.
  void OnPrepared(const PrepareJob& request, const JobPrepared& prepared);
  void OnFailed() { wanted_.reset(); }

  // The held job, as reported; nullopt: none.
  const std::optional<JobPrepared>& held() const { return held_; }
  bool Holds(uint64_t job) const { return held_ && held_->job() == job; }
  void DropHeld() { held_.reset(); }
  // The lease has ended: nothing is held or wanted.
  void Clear();

 private:
  std::optional<PrepareJob> wanted_;
  PrepareJob held_request_;  // the request that produced held_
  std::optional<JobPrepared> held_;
};

}  // namespace shoal::worker
