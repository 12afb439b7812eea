// All of the scheduler's decisions: which nodes there are, and what each job does on them (docs/protocol.md).
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

// Pure: (state, event, now) -> (state, actions), with no thread, clock, socket or file. After every call,
// even a failed one, the caller must take the actions and carry them out in order. Not thread-safe.
class SchedulerCore {
 public:
  explicit SchedulerCore(SchedulerOptions options);

  // Call once, first, with the contents of the store (the table "event" may be left out). Nodes get a fresh
  // lease. Errors: DATA_LOSS, naming the record that can't be read.
  absl::Status Load(absl::Time now, const std::vector<StoredRecord>& records);

  // ---- nodes ----
  // A process that joins again because the answer was lost is the same node. One that already had a session
  // has dropped its state, so it becomes a new node and its former one is removed. Errors:
  // FAILED_PRECONDITION for another protocol version; INVALID_ARGUMENT for a node without a role, a server
  // without an address that others can use, or a name that is too long; ALREADY_EXISTS when another living
  // node has the name.
  absl::StatusOr<JoinResponse> Join(absl::Time now, const JoinRequest& request);
  // A stream's first report. Any earlier stream of the node is replaced, and its end must not be reported.
  // Errors: FAILED_PRECONDITION when the node's lease has ended, or it is another process or belongs to
  // another cluster: join again. A refused Hello ends nobody's session.
  absl::Status SessionOpened(absl::Time now, NodeId node, const Hello& hello);
  void SessionBroken(absl::Time now, NodeId node);
  // Errors: FAILED_PRECONDITION when the node's lease has ended; INVALID_ARGUMENT for an empty report or a
  // second Hello. Outdated reports are harmless.
  absl::Status Report(absl::Time now, NodeId node, const NodeReport& report);
  // Call often, several times per heartbeat: leases and waiting times end here. If nothing was called for
  // longer than a heartbeat, the scheduler itself was suspended, and that time does not count against any
  // lease.
  void Tick(absl::Time now);

  // ---- users ----
  // Maximum number of unfinished jobs; the status says how many there are.
  static constexpr size_t kMaxWaitingJobs = 1000;
  // Completes and checks the spec. The same request_id returns the same job. `resume` is what was found
  // at request.resume_from; `folder` says whether a new job may use request.checkpoint_dir, judging by the
  // disk. Errors: INVALID_ARGUMENT with the spec's problems; FAILED_PRECONDITION when the checkpoint belongs
  // to a job with different numerics, with the fields that differ, or when an unfinished job has the same
  // checkpoint_dir; `folder`, if it is an error; ALREADY_EXISTS when the request_id belongs to a job with
  // another spec; RESOURCE_EXHAUSTED beyond kMaxWaitingJobs.
  absl::StatusOr<JobId> Submit(absl::Time now, const SubmitJobRequest& request,
                               const std::optional<ResumePoint>& resume,
                               const absl::Status& folder = absl::OkStatus());
  // Where the next job's checkpoints go when it names no folder.
  std::string DefaultFolder() const;
  // The checkpoint folders of all unfinished jobs.
  std::set<std::string> FoldersInUse() const;
  // For a repeated request, the job that it was given, or the error for an id used by another job; nullopt:
  // the request is new. Does not touch the disk, so it does not matter what has become of resume_from since.
  std::optional<absl::StatusOr<JobId>> FindRequest(const SubmitJobRequest& request) const;
  // Returns OK if the job has already ended. Errors: NOT_FOUND.
  absl::Status Cancel(absl::Time now, JobId job);
  // Errors: NOT_FOUND.
  absl::StatusOr<Job> GetJob(JobId job) const;
  // The sequence of the newest event in the job's history; 0: none yet.
  absl::StatusOr<uint64_t> LastEvent(JobId job) const;
  // The jobs after `after`, in order, without spec, plan, view and evaluations: as many as are certain to fit
  // into a message. Sets `more`, if not null, to whether there are others.
  static constexpr size_t kMaxListBytes = 4 << 20;
  std::vector<Job> ListJobs(JobId after = JobId(0), bool* more = nullptr) const;
  // Of the jobs that have ended, the status has only the last ones.
  static constexpr size_t kMaxEndedJobs = 100;
  ClusterStatus GetStatus(absl::Time now) const;

  // ---- results of actions ----
  // `commit`: the action that it answers.
  void CheckpointCommitted(absl::Time now, const CommitCheckpointFiles& commit,
                           const absl::StatusOr<std::string>& checkpoint);
  void CheckpointChecked(absl::Time now, JobId job, Version version, const absl::Status& health);
  void ResultComputed(absl::Time now, JobId job, Version version,
                      const absl::StatusOr<std::string>& parameters_sha256);

  // A node has asked for an artifact that is missing, or was damaged and deleted: a worker derives it again.
  void ArtifactLost(absl::Time now, const std::string& sha256);

  // Returns the actions in the order in which they must be carried out.
  std::vector<Action> TakeActions() { return out_.Take(); }

 private:
  // Must come first in every event of a node.
  void NoteTime(absl::Time now);
  void EndLeases(absl::Time now);
  void RenewSession(NodeId node);
  void TakeOff(absl::Time now, NodeId node, const std::string& why);
  absl::Status CheckHello(absl::Time now, const Member* member, const Hello& hello) const;
  // The job that a node's report is about, if it is running; the node is told to drop any other.
  JobRun* RunningJob(NodeId node, uint64_t job);
  // The same for a report on work for a view; also null when it is for another training.
  JobRun* TrainedJob(NodeId node, uint64_t job, const NodeReport& report);
  absl::Status Dispatch(absl::Time now, Member* member, const NodeReport& report);
  absl::Status CheckRequest(const SubmitJobRequest& request) const;
  size_t UnfinishedJobs() const;
  void AddJobs(ClusterStatus* status) const;
  absl::Status CheckQueue() const;
  absl::Status CheckFolderIsFree(const std::string& checkpoint_dir) const;
  JobRun* Find(JobId job);
  // Errors: NOT_FOUND.
  absl::StatusOr<const JobRun*> FindNamed(JobId job) const;
  // The job that has the nodes: the first unfinished one. Null: none.
  JobRun* Active();
  const JobRun* Active() const;
  void Advance(absl::Time now);
  // Notes whose turn it is. When that changes, deletes the artifacts that no job needs: at that time none
  // belongs to a plan that is not known yet.
  void TurnTo(JobId job);
  void SaveCounters();

  const SchedulerOptions options_;
  Outbox out_;
  Membership members_;
  ProgressWatch watch_;
  IdCounters counters_;
  absl::Time awake_ = absl::InfiniteFuture();  // time of the last event
  std::map<JobId, std::unique_ptr<JobRun>> jobs_;
  std::optional<JobId> turn_;  // whose turn it is; 0: nobody's; nullopt: just started
};

}  // namespace shoal::scheduler
