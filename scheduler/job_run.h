// One job from its submission to its end: "A job's life" and "Views" in docs/protocol.md.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/types.h"
#include "proto/scheduler.pb.h"
#include "scheduler/checkpoint_keeper.h"
#include "scheduler/completion.h"
#include "scheduler/evaluation_ledger.h"
#include "scheduler/job_context.h"
#include "scheduler/job_history.h"
#include "scheduler/last_resort.h"
#include "scheduler/metric_recorder.h"
#include "scheduler/plan_derivation.h"
#include "scheduler/records.pb.h"
#include "scheduler/roll_call.h"
#include "scheduler/stall_evidence.h"
#include "scheduler/view_planner.h"
#include "scheduler/view_rollout.h"

namespace shoal::scheduler {

// Passes each event to the parts that it concerns, which have their own state:
//
//   RollCall         which nodes take part               PlanDerivation    the plan and its artifacts
//   ViewRollout      how far the current view has got    EvaluationLedger  evaluations and verdicts
//   MetricRecorder   metrics and totals                  CheckpointKeeper  checkpoints
//                                                        Completion        how the result comes about
//
// and asks ViewPlanner, a pure function, for the next view. Its own state is the job's definition, which
// PlanDerivation alone changes, its phase and the reason it waits. Each part writes its own fields of the
// one JobStateRecord.
//
// Pure: time is passed in with each call, effects go to the outbox. Events only note what has happened;
// Advance acts on it, so call it after them. Not thread-safe. `options`, `members`, `watch` and `out` must
// outlive it.
class JobRun {
 public:
  JobRun(const SchedulerOptions& options, const Membership& members, const ProgressWatch& watch, Outbox* out,
         JobDefinition definition);

  // Starts a new job: writes it to the store.
  void Create(absl::Time now, const std::optional<ResumePoint>& resume);
  // Restores a job from the store.
  void Load(absl::Time now, const JobStateRecord& record, std::vector<EvaluationRecord> evaluations);

  JobId id() const { return JobId(definition().job()); }
  const JobDefinition& definition() const { return definition_; }
  // The training of its views; 0: none yet.
  TrainingId training() const { return TrainingId(view().training_id()); }
  bool ended() const;
  // Whether a worker may be uploading artifacts for a plan that is not known yet.
  bool is_deriving() const { return state_ == JOB_STATE_PREPARING && !has_plan(); }
  void AddNeededArtifacts(std::set<std::string>* sha256) const {
    derivation_.AddNeededArtifacts(ended(), checkpoints_.HasAny(), sha256);
  }

  // ---- what has happened ----
  void Cancel(absl::Time now);
  void OnSessionOpened(NodeId node);
  // The scheduler was suspended for that long.
  void Awake(absl::Duration asleep);
  void OnNodeLost(absl::Time now, const Member& member);
  void OnPrepared(absl::Time now, const Member& member, const JobPrepared& report);
  void OnRefused(absl::Time now, const Member& member, const JobRefused& report);
  void OnInstalled(absl::Time now, const Member& member, const ViewInstalled& report);
  // For a shard, only reports of its server count; for a slot, those of its worker or of one that has had it
  // since the restore point, whose result is the same. Reports from others are dropped.
  void OnProgress(absl::Time now, const Member& member, const ShardProgress& report);
  void OnShardWritten(absl::Time now, const Member& member, const ShardWritten& report);
  void OnEvaluated(absl::Time now, const Member& member, const SlotEvaluated& report);
  void OnSlotFailed(absl::Time now, const Member& member, const SlotFailed& report);
  void OnCheckpointCommitted(absl::Time now, const CommitCheckpointFiles& commit,
                             const absl::StatusOr<std::string>& checkpoint);
  // `health`: OK; DATA_LOSS (the checkpoint has been set aside); NOT_FOUND; or why it could not be read.
  void OnCheckpointChecked(absl::Time now, Version version, const absl::Status& health);
  void OnResult(absl::Time now, const absl::StatusOr<std::string>& parameters_sha256);

  // The scheduler has no artifact with this digest, or it is damaged.
  void OnArtifactLost(absl::Time now, const std::string& sha256);

  // Takes the steps that are due. The first call means that it is the job's turn.
  void Advance(absl::Time now);

  // Returns the nodes that have come up since the last call whose sessions must be reopened because a report
  // or directive may be lost.
  std::vector<NodeId> TakeStaleSessions() { return std::exchange(stale_sessions_, {}); }

  // Puts something that users should know into the history and the log.
  void Tell(absl::Time now, const std::string& text) { history_.Warn(now, text); }

  // ---- for users ----
  uint64_t last_event() const { return history_.last_sequence(); }
  // Includes spec, plan, view and evaluations if `full`.
  Job Describe(bool full) const;
  std::string DetailOf(const Member& member) const;
  void AddStalls(absl::Time now, std::vector<std::string>* stalls) const;

 private:
  // ---- steps of Advance ----
  void Derive(absl::Time now);
  void Judge(absl::Time now);
  void Finish(absl::Time now);
  void WatchFiles(absl::Time now);
  // Acts when there is no progress and no known reason.
  void HelpOn(absl::Time now);
  void PlaceNodes(absl::Time now);
  void Announce();
  void Prune();

  std::set<NodeId> AddSilent(absl::Time now, const std::string& where, const std::string& since,
                             std::vector<std::string>* stalls) const;
  bool has_plan() const { return definition_.has_plan(); }
  const View& view() const { return rollout_.view(); }
  // Where workers must stop, or evaluate.
  Target CurrentTarget() const;
  CheckpointNeeds Needs() const;
  bool HasWork(NodeId node) const;
  Version RestoreLimit() const;
  ViewInputs PlannerInputs(absl::Time now) const;
  StallEvidence Evidence() const;
  bool HasLostAllServers() const;  // of its view
  void BeginView(absl::Time now, View next, bool restores);
  // The node knows a view that this store does not.
  void OnOutdated(absl::Time now, const Member& member, const JobRefused& report);
  void BeginAnotherTraining(absl::Time now, const std::string& why);
  // Returns whether the node has a view that was never stored here, and if so begins another training.
  bool IsUnknownView(absl::Time now, const Member& member, uint64_t reported);
  // The server could not load the restore point, although the files are not known to be damaged.
  void StandAside(absl::Time now, NodeId server, const std::string& error, RestoreTrouble trouble);
  void LoseCheckpoint(absl::Time now, Version version, const absl::Status& health);
  void EndTraining(absl::Time now, Version version);
  void End(absl::Time now, JobState state, const std::string& reason);
  void EndIf(absl::Time now, const Failure& failure);
  void EndIfHopeless(absl::Time now);
  // What the job needs to go on: nodes that take part; only those that have the last version, to write it; or
  // none, because the scheduler itself has to commit or read a checkpoint.
  enum class Needed { kNodes, kWriters, kScheduler };
  Needed WhatIsNeeded() const;
  bool WriterHangs() const;
  void Apply(absl::Time now, const StepResult& result);
  void SetState(absl::Time now, JobState state, const std::string& reason);
  void Explain(const std::string& reason);
  JobStateRecord Record() const;
  void Save();

  JobHistory history_;
  const JobContext context_;
  JobDefinition definition_;
  RollCall roll_call_;
  PlanDerivation derivation_;
  ViewRollout rollout_;
  EvaluationLedger evaluations_;
  CheckpointKeeper checkpoints_;
  MetricRecorder metrics_;
  Completion completion_;
  LastResort last_resort_;

  JobState state_ = JOB_STATE_UNSPECIFIED;
  std::string reason_;
  int64_t started_unix_ms_ = 0, ended_unix_ms_ = 0;
  JobStateRecord saved_;  // as stored

  // ---- what a restart forgets ----
  bool placed_ = false;      // all nodes of the view are present
  bool regrouping_ = false;  // all nodes must prepare again for the next view
  absl::Time moved_;         // when a version was reached or a slot evaluated
  std::vector<NodeId> stale_sessions_;
};

}  // namespace shoal::scheduler
