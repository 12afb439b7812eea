// Who uses the cluster: submits and cancels the jobs of a run, submits them again to an empty cluster, puts
// back an older copy of the scheduler's store.
#pragma once

#include <string>

#include "absl/time/time.h"
#include "proto/scheduler.pb.h"
#include "tests/simulation/cluster.h"
#include "tests/simulation/run_state.h"

namespace shoal::simulation {

// Jobs are named by their index in RunState::jobs. Not thread-safe.
class JobOperator {
 public:
  // Both must outlive it and its events.
  JobOperator(RunState* state, Cluster* cluster) : state_(state), cluster_(cluster) {}

  // These two try again until the scheduler answers. A refusal of the job is a failure of the run.
  void SubmitWhenPossible(size_t job);
  void CancelWhenPossible(size_t job);

  // The scheduler's store is lost: submits all unfinished jobs again, to continue from their newest
  // checkpoints.
  void StartWithEmptyStore();
  // After `delay`, replaces the scheduler's store by a copy made now, unless a new store has begun meanwhile.
  void PutStoreBackAfter(absl::Duration delay);

 private:
  SubmitJobRequest MakeRequest(size_t job);
  void CheckOrigin(SubmittedJob* job);
  std::string ChooseResume(const SubmittedJob& job);
  void PutStoreBack(const scheduler::StoredTables& before);

  RunState* const state_;
  Cluster* const cluster_;
  int stores_ = 1;  // stores that began empty
};

}  // namespace shoal::simulation
