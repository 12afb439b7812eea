// All that the scheduler decides: which nodes there are, and what each job does on them (docs/protocol.md).
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/types.h"
#include "proto/scheduler.pb.h"
#include "scheduler/actions.h"
#include "scheduler/job_run.h"
#include "scheduler/membership.h"
#include "scheduler/options.h"
#include "scheduler/progress_watch.h"

namespace shoal::scheduler {

// Pure: (state, event, now) -> (state, actions), without thread, clock, socket or file. After every call,
// also one that failed, the caller takes the actions and carries them out in order. Not thread-safe.
class SchedulerCore {
 public:
  explicit SchedulerCore(SchedulerOptions options);

  // Once, first: what the store holds (the table "event" may be left out). Nodes get a fresh lease. Errors:
  // DATA_LOSS that names the record that can't be read.
  absl::Status Load(absl::Time now, const std::vector<StoredRecord>& records);

  // ---- nodes ----
  // A process that joins again, as the answer was lost, is the same node; one that had a session already has
  // dropped its state, and its former life is over. Errors: FAILED_PRECONDITION for another protocol version;
  // INVALID_ARGUMENT for a node of no role, a server without an address that others can use, or too long a
  // name; ALREADY_EXISTS when another living node has the name.
  absl::StatusOr<JoinResponse> Join(absl::Time now, const JoinRequest& request);
  // A stream's first report. A stream that the node had before is over: its end must not be told. Errors:
  // FAILED_PRECONDITION when the node's lease has ended, or it is another process, or of another cluster:
  // join anew. Nobody's session ends by a Hello that is refused.
  absl::Status SessionOpened(absl::Time now, NodeId node, const Hello& hello);
  void SessionBroken(absl::Time now, NodeId node);
  // Errors: FAILED_PRECONDITION when the node's lease has ended; INVALID_ARGUMENT for an empty report or a
  // second Hello. Reports that are out of date are harmless.
  absl::Status Report(absl::Time now, NodeId node, const NodeReport& report);
  // Often, several times per heartbeat: leases and waiting times end here. When nothing was called for longer
  // than a heartbeat, the scheduler itself was stopped, and that time ends no lease.
  void Tick(absl::Time now);

  // ---- users ----
  // That have not ended, at most.
  static constexpr size_t kMaxWaitingJobs = 1000;
  // Completes and checks the spec. The same request_id gives the same job again. `resume` is what was found
  // at request.resume_from, `folder` whether a new job may use request.checkpoint_dir, as far as the disk
  // knows. Errors: INVALID_ARGUMENT with the spec's problems; FAILED_PRECONDITION when the checkpoint is of a
  // job with other numerics, with the fields that differ, or a job that has not ended has the same
  // checkpoint_dir; `folder`'s; ALREADY_EXISTS when the request_id is of a job with another spec;
  // RESOURCE_EXHAUSTED for more than kMaxWaitingJobs.
  absl::StatusOr<JobId> Submit(absl::Time now, const SubmitJobRequest& request,
                               const std::optional<ResumePoint>& resume,
                               const absl::Status& folder = absl::OkStatus());
  // Where the next job's checkpoints go when it names no folder.
  std::string DefaultFolder() const;
  // Of the jobs that have not ended.
  std::set<std::string> FoldersInUse() const;
  // The job that a request which comes again has been given, or the error for another job's id; nullopt: it
  // is new. Needs no disk, and so does not mind what has become of resume_from since.
  std::optional<absl::StatusOr<JobId>> FindRequest(const SubmitJobRequest& request) const;
  // OK when it has ended already. Errors: NOT_FOUND.
  absl::Status Cancel(absl::Time now, JobId job);
  // Errors: NOT_FOUND.
  absl::StatusOr<Job> GetJob(JobId job) const;
  // The sequence of the newest event of its history; 0: none yet.
  absl::StatusOr<uint64_t> LastEvent(JobId job) const;
  std::vector<Job> ListJobs() const;  // without spec and plan
  ClusterStatus GetStatus(absl::Time now) const;

  // ---- what actions came to ----
  // `commit`: the action that it answers.
  void CheckpointCommitted(absl::Time now, const CommitCheckpointFiles& commit,
                           const absl::StatusOr<std::string>& checkpoint);
  void CheckpointChecked(absl::Time now, JobId job, Version version, const absl::Status& health);
  void ResultComputed(absl::Time now, JobId job, Version version,
                      const absl::StatusOr<std::string>& parameters_sha256);

  // A node has asked for an artifact that is not there, or damaged and deleted: a worker derives it again.
  void ArtifactLost(absl::Time now, const std::string& sha256);

  // In the order in which they are to be carried out.
  std::vector<Action> TakeActions() { return out_.Take(); }

 private:
  // The first thing that every event of a node does.
  void NoteTime(absl::Time now);
  void EndLeases(absl::Time now);
  void RenewSession(NodeId node);
  void TakeOff(absl::Time now, NodeId node, const std::string& why);
  absl::Status CheckHello(absl::Time now, const Member* member, const Hello& hello) const;
  // The job that a node's report is about, if it runs; the node is told to drop any other.
  JobRun* RunningJob(NodeId node, uint64_t job);
  // The same for a report of a view's work; null, too, when it is of another training.
  JobRun* TrainedJob(NodeId node, uint64_t job, const NodeReport& report);
  absl::Status Dispatch(absl::Time now, Member* member, const NodeReport& report);
  absl::Status CheckRequest(const SubmitJobRequest& request) const;
  absl::Status CheckQueue() const;
  absl::Status CheckFolderIsFree(const std::string& checkpoint_dir) const;
  JobRun* Find(JobId job);
  // The one that has the nodes: the first that has not ended. Null: none.
  JobRun* Active();
  const JobRun* Active() const;
  void Advance(absl::Time now);
  // When another job has its turn: nothing of a plan that is not known yet is among the artifacts then.
  void TurnTo(JobId job);
  void SaveCounters();

  const SchedulerOptions options_;
  Outbox out_;
  Membership members_;
  ProgressWatch watch_;
  IdCounters counters_;
  absl::Time awake_ = absl::InfiniteFuture();  // last time that anything was called
  std::map<JobId, std::unique_ptr<JobRun>> jobs_;
  std::optional<JobId> turn_;  // whose it is; 0: nobody's
};

}  // namespace shoal::scheduler
