// Makes the faults of a schedule happen.
#pragma once

#include "tests/simulation/cluster.h"
#include "tests/simulation/job_operator.h"
#include "tests/simulation/run_state.h"

namespace shoal::simulation {

// One function for each kind of fault, or for several that differ little; schedule.h says what they are. Not
// thread-safe.
class FaultInjector {
 public:
  // All must outlive it and its events.
  FaultInjector(RunState* state, Cluster* cluster, JobOperator* job_operator)
      : state_(state), cluster_(cluster), job_operator_(job_operator) {}

  // Without effect when there is no such process, job or kind.
  void Inject(const Fault& fault);

 private:
  void InjectInto(const Fault& fault, Process* process);
  void InjectIntoCluster(const Fault& fault);

  // ---- into a living process ----
  void Kill(const Fault& fault, Process* process);
  void Crash(const Fault& fault, Process* process);
  void Freeze(const Fault& fault, Process* process);
  void Cut(const Fault& fault, Process* process);
  void Stray(const Fault& fault, Process* process);
  void Island(const Fault& fault, Process* process);
  void Swallow(const Fault& fault, Process* process);
  void BreakDisk(const Fault& fault, Process* process);
  void Unmount(const Fault& fault, Process* process);
  void Leave(const Fault& fault, Process* process);
  void Refuse(const Fault& fault, Process* process);
  void Fail(const Fault& fault, Process* process);

  // ---- into the cluster ----
  void Damage(const Fault& fault);
  void Join(const Fault& fault);
  void Cancel(const Fault& fault);
  void Forget(const Fault& fault);
  void Outdate(const Fault& fault);
  void Rebuild(const Fault& fault);

  RunState* const state_;
  Cluster* const cluster_;
  JobOperator* const job_operator_;
};

}  // namespace shoal::simulation
