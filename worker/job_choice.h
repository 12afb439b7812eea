// Which job a worker holds, and which one it prepares.
#pragma once

#include <cstdint>
#include <optional>

#include "proto/scheduler.pb.h"

namespace shoal::worker {

// Pure: directives in their order go in; the newest PrepareJob counts. Not thread-safe.
class JobChoice {
 public:
  // True: the job that is held answers the request, so held() is to be reported again. Else its preparation
  // is wanted from now on, instead of any other.
  bool OnPrepare(const PrepareJob& request);

  // True: the job that is held is over, and is to be dropped. A CloseJob may come behind the PrepareJob of
  // the next job (it answers a late report of the former one): it touches only what belongs to its own job.
  bool OnClose(uint64_t job);

  // The preparation that is wanted; nullopt: none.
  const std::optional<PrepareJob>& wanted() const { return wanted_; }
  // Whether `request`, on which somebody works since the last Clear, is still what is wanted: a number alone
  // tells nothing, since each cluster counts its jobs anew.
  bool Wants(const PrepareJob& request) const;

  // The preparation of `request`, which is wanted, has succeeded, or failed.
  void OnPrepared(const PrepareJob& request, const JobPrepared& prepared);
  void OnFailed() { wanted_.reset(); }

  // What is held, as it was reported; nullopt: nothing.
  const std::optional<JobPrepared>& held() const { return held_; }
  bool Holds(uint64_t job) const { return held_ && held_->job() == job; }
  void DropHeld() { held_.reset(); }
  // The lease is over: nothing is held or wanted.
  void Clear();

 private:
  std::optional<PrepareJob> wanted_;
  PrepareJob held_request_;  // that held_ came of
  std::optional<JobPrepared> held_;
};

}  // namespace shoal::worker
