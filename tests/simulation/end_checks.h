// What must hold while jobs run, and when they have ended.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "proto/scheduler.pb.h"
#include "scheduler/records.pb.h"
#include "tests/simulation/cluster.h"
#include "tests/simulation/run_state.h"

namespace shoal::simulation {

// How often queues are looked at.
inline constexpr absl::Duration kQueuePoll = absl::Milliseconds(200);

// Compares what the scheduler reports and has stored, and what is on the disk, with what is expected. The
// first difference is the failure of the run; what is found goes into its outcome. Not thread-safe.
class EndChecks {
 public:
  // Both must outlive it and its events.
  EndChecks(RunState* state, Cluster* cluster) : state_(state), cluster_(cluster) {}

  // Checks each job that has ended since the last call, and whether an oracle has failed; then every kPoll.
  void Poll();
  // Checks that each queue that the scheduler shows in its status is within its limit; then every kQueuePoll.
  void PollQueues();

 private:
  void CheckQueue(const std::string& who, const std::string& name, uint64_t length, uint64_t limit);
  // The job's record in the scheduler's store; job 0: there is none.
  static JobStateRecord RecordOf(const scheduler::StoredTables& tables, JobId job);
  void CheckOver(SubmittedJob* job, const JobStateRecord& record);
  // A checkpoint that the store calls committed must be intact, at any time.
  void CheckCommitted(const SubmittedJob& job, const JobStateRecord& record);
  bool IsEndedByDisk(const JobStateRecord& record) const;
  void CheckCompleted(const SubmittedJob& job, const JobStateRecord& record, const Job& described);
  void CheckTraining(const SubmittedJob& job, const std::vector<JobEvent>& events);
  void CheckCheckpoints(const SubmittedJob& job, const JobStateRecord& record);
  bool MayBeLost(const SubmittedJob& job, const std::string& path);
  absl::Status Verify(const std::string& path);
  std::vector<JobEvent> EventsOf(JobId job);

  RunState* const state_;
  Cluster* const cluster_;
  std::map<std::string, absl::Time> verified_;  // checkpoints of running jobs, and when they were read last
};

}  // namespace shoal::simulation
