// One job from its submission to its end: "A job's life" and "Views" in docs/protocol.md.
//
// The class is in eight files: job_run.cc (its life and its steps), job_run_preparation.cc (who takes part),
// job_run_artifacts.cc, job_run_views.cc, job_run_verdicts.cc, job_run_records.cc (checkpoints, metrics),
// job_run_stalls.cc, job_run_status.cc.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/types.h"
#include "common/base/utf8.h"
#include "common/job/job_plan_check.h"
#include "common/job/schedule.h"
#include "proto/scheduler.pb.h"
#include "scheduler/actions.h"
#include "scheduler/checkpoint_ledger.h"
#include "scheduler/last_resort.h"
#include "scheduler/membership.h"
#include "scheduler/metric_window.h"
#include "scheduler/options.h"
#include "scheduler/placement.h"
#include "scheduler/progress_watch.h"

namespace shoal::scheduler {

// Pure: time comes with the calls, effects go to the outbox. Events only note what has happened; Advance does
// what follows, so call it after them. Not thread-safe. `options`, `members`, `watch` and `out` must outlive
// it.
class JobRun {
 public:
  JobRun(const SchedulerOptions& options, const Membership& members, const ProgressWatch& watch, Outbox* out,
         JobDefinition definition);

  // A new job: writes it to the store.
  void Create(absl::Time now, const std::optional<ResumePoint>& resume);
  // A job from the store.
  void Load(absl::Time now, JobStateRecord state, std::vector<EvaluationRecord> evaluations);

  JobId id() const { return JobId(definition_.job()); }
  const JobDefinition& definition() const { return definition_; }
  // Of its views; 0: none yet.
  TrainingId training() const { return TrainingId(state_.view().training_id()); }
  bool ended() const;
  // A worker may be bringing artifacts for a plan that is not known yet.
  bool is_deriving() const { return state_.state() == JOB_STATE_PREPARING && !has_plan(); }
  void AddNeededArtifacts(std::set<std::string>* sha256) const;

  // ---- what has happened ----
  void Cancel(absl::Time now);
  void OnSessionOpened(NodeId node);
  void OnNodeLost(absl::Time now, const Member& member);
  void OnPrepared(absl::Time now, const Member& member, const JobPrepared& report);
  void OnRefused(absl::Time now, const Member& member, const JobRefused& report);
  void OnInstalled(absl::Time now, const Member& member, const ViewInstalled& report);
  // Of a shard counts what its server says, of a slot what its worker says, or one that has had it since the
  // restore point: its result is the same. What others say is dropped.
  void OnProgress(absl::Time now, const Member& member, const ShardProgress& report);
  void OnShardWritten(absl::Time now, const Member& member, const ShardWritten& report);
  void OnEvaluated(absl::Time now, const Member& member, const SlotEvaluated& report);
  void OnSlotFailed(absl::Time now, const Member& member, const SlotFailed& report);
  void OnCheckpointCommitted(absl::Time now, const CommitCheckpointFiles& commit,
                             const absl::StatusOr<std::string>& checkpoint);
  // `health`: OK; DATA_LOSS, and it is set aside; NOT_FOUND; or what kept it from being read.
  void OnCheckpointChecked(absl::Time now, Version version, const absl::Status& health);
  void OnResult(absl::Time now, const absl::StatusOr<std::string>& parameters_sha256);

  // The scheduler has no artifact of this digest, or it is damaged.
  void OnArtifactLost(absl::Time now, const std::string& sha256);

  // Takes the steps that are due. The first call says that the job's turn has come.
  void Advance(absl::Time now);

  // Nodes whose sessions are to begin anew since the last call, as a report or a directive may be lost.
  std::vector<NodeId> TakeStaleSessions() { return std::exchange(stale_sessions_, {}); }

  // Something that people should know, in the history and in the log.
  void Tell(absl::Time now, const std::string& text) { Message(now, text, LogLine::Level::kWarning); }

  // ---- for people ----
  // With spec, plan, view and the statistics of evaluations when `full`.
  Job Describe(bool full) const;
  std::string DetailOf(const Member& member) const;
  void AddStalls(absl::Time now, std::vector<std::string>* stalls) const;

 private:
  // How often in a row a worker may refuse to derive the plan, a server fail to load a restore point that is
  // not damaged, the result's checkpoint be lost, or not be readable, before the job does something about it.
  static constexpr uint32_t kMaxAttempts = 3;
  // Versions whose commits are under way, as on a disk that hangs; what comes then is not committed, if it is
  // only to restart from.
  static constexpr size_t kMaxCommits = 8;
  // How often servers may be unable to write the result: its last rounds are trained again only once.
  static constexpr uint32_t kMaxFailedResults = 2;

  struct NodeState {
    bool offered = false;  // PrepareJob was sent in this session
    absl::Time offered_at;
    bool prepared = false;
    std::string refused;      // why it does not take part, until it does
    uint32_t refusals = 0;    // in a row
    std::string failure;      // why its work for the view failed last (worker)
    uint32_t failures = 0;    // of its work, in a row (worker)
    absl::Time unable_since;  // first of these refusals and failures
    // What is wrong with spec or data, as it found when it was to derive.
    std::string data_error;
    int vote = 0;  // worker with the data: 1 when they are the plan's, -1 when they differ
    absl::Time ask_again = absl::InfinitePast();     // after a refusal
    absl::Time derive_again = absl::InfinitePast();  // after it could not derive lost artifacts
    uint32_t derive_refusals = 0;                    // to derive these
    uint64_t installed = 0;                          // newest view that it holds (server)
    uint32_t failed_restores = 0;                    // in a row (server)
    RestoreTrouble trouble = RESTORE_TROUBLE_NONE;   // of the last of these
    uint64_t told = 0;                               // newest view that was sent in this session
    std::string target;                              // last one sent in this session
    std::set<SlotRange> slots;                       // that it has, or has had since the restore point
    absl::Time aside_until = absl::InfinitePast();   // it owed something when nothing moved: others first
  };
  struct ShardState {
    Version version;
    std::vector<MissingSlots> missing;
  };
  // A version, and the restore point that it was written from.
  using CommitKey = std::pair<Version, uint64_t>;
  // A version whose parts are all written.
  struct Commit {
    CommitCheckpointFiles files;
    uint32_t failures = 0;
    absl::Time again = absl::InfiniteFuture();  // InfiniteFuture: under way

    bool waits() const { return again != absl::InfiniteFuture(); }
  };
  // What keeps the result from being read.
  struct ResultTrouble {
    std::string error;  // "": nothing
    uint32_t failures = 0;
    absl::Time since, again;
  };

  void Resume(absl::Time now, const ResumePoint& resume);

  // ---- steps of Advance ----
  void Derive(absl::Time now);
  void OfferPlan(absl::Time now);
  // Asks a worker for artifacts that were lost; the job goes on meanwhile.
  void Rederive(absl::Time now);
  const Member* ChooseRederiver(absl::Time now) const;
  // Whether a worker may still do it, or come.
  bool MayBeRederived() const;
  // It can't do it: others are asked first.
  void GiveUpRederiver(absl::Time now);
  // The node knows a view that this store does not.
  void OnOutdated(absl::Time now, const Member& member, const JobRefused& report);
  void BeginAnotherTraining(absl::Time now, const std::string& why);
  void OnRederived(absl::Time now, const Member& member, const JobPlan& plan);
  // A worker to derive the plan; null: none that can do it now. Ends the job when all have refused too often.
  const Member* ChooseDeriver(absl::Time now);
  // Who can't take part or has failed, of that role or of any: "; worker-2 can't take part: ..."
  std::string Refusals(std::optional<NodeRole> role = std::nullopt) const;
  const Member* NextDeriver(absl::Time now) const;
  // FAILED_PRECONDITION when the plan is not that of the checkpoint which the job goes on from.
  absl::Status CheckOrigin(const JobPlan& plan) const;
  void TakePlan(absl::Time now, const Member& member, const JobPlan& plan);
  // Whether the node, which has said nothing that counts, may still do so: not when it has been a suspect for
  // as long as others have failed.
  bool IsAwaited(absl::Time now, NodeId node, absl::Time since) const;
  // What is wrong with spec or data, once it is sure that it is not one worker's copy alone: two machines say
  // so, or nobody else can be asked and the patience is over. Empty: nothing.
  std::string DataError(absl::Time now) const;
  // Before the first round: when most workers that have the data have others than the plan's, one of them
  // derives it anew. Once, so that workers which all have different data come to an end.
  void DeriveAnewByMajority(absl::Time now);
  // Whether PrepareJob is to be sent to the node now; notes that it is.
  bool TakeOffer(absl::Time now, NodeState* node);
  void Judge(absl::Time now);
  // The scheduler commits, checks or reads checkpoints of the job.
  bool FilesAtWork() const;
  // That comes to no end: says so, and ends the job if it can't go on without.
  void WatchFiles(absl::Time now);
  // Acts when nothing moves and nobody says why.
  void HelpOn(absl::Time now);
  void PlaceNodes(absl::Time now);
  void Announce();
  void Finish(absl::Time now);
  // The result has no checkpoint: waits for it, or goes back to an older one, which comes to the same bits.
  void RemakeResult(absl::Time now);
  // It is there, and can't be read now.
  void RetryResult(absl::Time now, const absl::Status& status);

  bool has_plan() const { return definition_.has_plan(); }
  TrainingLength length() const { return LengthOf(definition_.plan()); }
  bool EvaluatesWhileTraining() const;
  Version LastEvaluated() const;
  // The best on the validation examples; null: none yet.
  const EvaluationRecord* BestSoFar() const;
  // The best of those that the result can be; null: there is none, or the job keeps its last version.
  const EvaluationRecord* BestToKeep() const;
  // Takes over an earlier job's evaluations: computes this job's metric from their statistics, and which were
  // the best when they came.
  void JudgeAnew(const ResumePoint& resume);
  bool IsBetter(const EvaluationRecord& record, const EvaluationRecord* best) const;
  bool Tested() const;
  Target CurrentTarget(uint64_t restore_id) const;
  void RecordEvaluation(absl::Time now, const Target& target);
  void EndTraining(absl::Time now, Version version);

  bool HasWork(NodeId node) const;
  bool HasSlots(NodeId node) const;
  // In the current view.
  bool HoldsShard(NodeId node, uint32_t shard) const;
  bool HoldsAnyShard(NodeId node) const;
  bool HasHadSlot(NodeId node, uint32_t slot) const;
  void NoteSlots();
  // The worker's slots failed on it, as they need not on another.
  void NoteFailure(NodeState* node, const std::string& reason);
  // Who has brought a whole version about in the current view no longer counts as failing.
  void ForgiveFailures(const ShardProgress& report);
  // All nodes of that role, and they are as many as the job wants, have failed or refused often enough, for
  // long enough.
  bool NobodyCan(absl::Time now, NodeRole role) const;
  std::vector<NodeRef> Usable(NodeRole role) const;
  std::vector<NodeRef> Primaries() const;
  bool PrimariesUsable() const;
  Team ChooseNodes(absl::Time now, const std::vector<NodeRef>& servers,
                   const std::vector<NodeRef>& workers) const;
  // The node has been silent, or its work does not get on: others first.
  bool IsSuspect(absl::Time now, NodeId node) const;
  // Tells who of the view loses its work, though it is there, to `next`.
  void TellWhoIsLeftOut(absl::Time now, const View& next);
  void Intervene(absl::Time now, const std::string& why);
  // What is wrong with the nodes of the view, as far as is known: "" or "worker-1 can't reach ...".
  std::string Troubles() const;
  bool Settled(absl::Time now, size_t servers, size_t workers);
  RestorePoint NextRestore() const;
  // Of a training whose first view comes now.
  TrainingId NewTrainingId(absl::Time now) const;
  bool Installed() const;
  void LoseCheckpoint(absl::Time now, Version version, const absl::Status& health);
  // The server could not load the restore point, and its files are not damaged: the others try without
  // it for a while. When all have failed often enough, and for long enough, the job goes back to an older
  // version, where only this one's file gives errors, or ends, with all that it has.
  void StandAside(absl::Time now, NodeId server, const std::string& error, RestoreTrouble trouble);
  void OnAllServersFailed(absl::Time now, const std::string& error, const std::set<RestoreTrouble>& troubles);
  void RetryServers();
  // Before the next attempt, after so many failures before the last.
  absl::Duration PauseAfter(uint32_t failures) const;
  void WriteView(absl::Time now, View view);
  void StartRestorePoint(absl::Time now);
  void WantRestore() { state_.set_restore_wanted(true); }
  void ForgetProgress(absl::Time now);
  Version LowestVersion() const;
  bool Misses(SlotRange slots, const Target& target) const;

  // ---- stalls ----
  LastResort::Milestone CurrentMilestone() const;
  // The last that one of the nodes which the job needs now is at work for it.
  absl::Time LastSign(absl::Time now) const;
  // Whether it is known what the job waits for, and it is nothing that a new view would bring.
  bool WaitsForOthers() const;
  bool IsBlamed(const std::vector<NodeId>& nodes) const;
  // That the job needs now: of the view, or who prepares it.
  std::vector<NodeId> NeededNodes() const;
  std::vector<NodeId> UnansweredOffers() const;
  // Who owes the next step as far as is known, and what, for people.
  std::map<NodeId, std::string> Debtors() const;
  void AddRoundDebtors(std::map<NodeId, std::string>* debtors) const;
  std::string DebtorsText() const;
  void RenewSessions();
  void SetAside(absl::Time now);

  bool WantsCheckpoint(Version version) const;
  uint64_t restore_id() const { return state_.view().restore().restore_id(); }
  // Under way or, if `waiting` too, to be tried again; from whatever restore point.
  bool IsBeingCommitted(Version version, bool waiting) const;
  void StartCommit(Version version, std::vector<CheckpointShard> files);
  // Commits whose time has come are tried again.
  void RetryCommits(absl::Time now);
  // Those that wait and serve for nothing any more, as a newer version is to be committed.
  void GiveUpCommits(absl::Time now, Version newer);
  // The version can't be written for now (no room, no storage): the others try on. Shown until one is.
  void NoteWriteTrouble(absl::Time now, Version version, const std::string& who, const std::string& error);
  // Nothing could be written for as long as a job waits that needs `version`, training being over.
  bool WritingIsHopeless(absl::Time now, Version version) const;
  void WriteFailed(absl::Time now, Version version, const std::string& error,
                   FailedWrite::Kind kind = FailedWrite::NOT_WRITTEN);
  // Tells an error once, and not for each version.
  void TellWriteError(absl::Time now, const std::string& text, const std::string& error);
  // Kept as long as the version may be the result or the last.
  void AddFailedWrite(Version version, const std::string& error, FailedWrite::Kind kind);
  bool MayBeKept(Version version) const;
  // Of a version that can't become whole: what there is of it fills the disk for nothing.
  void DeleteParts(Version version);
  const FailedWrite* FindFailedWrite(Version version) const;
  // Whether the checkpoint of the result, which is not there, is still to come from this restore point.
  bool ResultMayCome() const;
  CheckpointManifest ManifestOf(Version version, std::vector<CheckpointShard> files) const;
  void Prune();
  void CountRunningTime(absl::Time now);
  // A record of the history; and live progress, when it is time.
  void RecordMetrics(absl::Time now);
  void AddRounds(absl::Time now, const ShardProgress& report);
  // Those of the rounds [from, to).
  void TellLostMetrics(absl::Time now, uint64_t from, uint64_t to);
  void PublishProgress(absl::Time now);
  void End(absl::Time now, JobState state, const std::string& reason);
  void SetState(absl::Time now, JobState state, const std::string& reason);
  void Explain(const std::string& reason) { state_.set_reason(ToValidUtf8(reason)); }
  void Emit(absl::Time now, JobEvent event);
  void Message(absl::Time now, const std::string& text, LogLine::Level level = LogLine::Level::kInfo);
  void SaveState();
  void SaveEvaluation(size_t index);

  const SchedulerOptions& options_;
  const Membership& members_;
  const ProgressWatch& watch_;
  Outbox* const out_;
  JobDefinition definition_;
  JobStateRecord state_;
  std::string saved_state_;  // as it is in the store
  std::vector<EvaluationRecord> evaluations_;

  // ---- what a restart forgets and nodes report again ----
  std::map<NodeId, NodeState> nodes_;
  absl::Time first_failed_restore_ = absl::InfiniteFuture();  // since one was loaded
  absl::Time enough_since_ = absl::InfiniteFuture();          // enough nodes are prepared for a first view
  absl::Time counted_ = absl::InfinitePast();                 // the running time is counted up to here
  bool placed_ = false;                                       // the nodes of the view are there
  absl::Duration ran_;                                        // not in state_ yet
  bool derived_anew_ = false;
  bool outdated_ = false;    // the store was an older copy
  bool renew_view_ = false;  // a worker that failed waits for a new view, even if it is the same
  std::map<uint32_t, Version> first_in_view_;  // by shard: reported first in the current view
  uint64_t restore_view_ = 0;                  // first view of the restore point: older progress is void
  std::vector<ShardState> shards_;             // by shard of the current view
  absl::Time moved_;                           // when a version was reached or a slot evaluated
  ShardCollector collector_;
  std::string write_error_;  // the last, without its numbers, since a checkpoint was written
  std::map<uint32_t, EvaluationStatistics> evaluated_;  // slots of evaluated_target_
  std::string evaluated_target_;                        // version and set
  std::map<CommitKey, Commit> commits_;
  std::string write_trouble_;                  // "": nothing keeps checkpoints from being written
  absl::Time write_trouble_since_;             // since one was
  absl::Time trained_ = absl::InfinitePast();  // training was over, by the clock of this process
  // Servers that call a restore point's checkpoint damaged, while it is checked: by restore id and version.
  std::map<std::pair<uint64_t, Version>, std::map<NodeId, std::string>> accused_;
  absl::Time files_since_ = absl::InfiniteFuture();  // FilesAtWork, and nothing has come of it
  absl::Time files_told_ = absl::InfinitePast();     // the files_since_ that people were told of
  std::string lost_artifact_;                        // name of one; "": none is
  NodeId rederiver_{0};                              // worker that was asked for it; 0: none
  bool computing_result_ = false;
  LastResort last_resort_;
  std::vector<std::string> tried_;  // by the last resort, since the job was further than ever; for people
  std::vector<NodeId> stale_sessions_;
  ResultTrouble result_trouble_;
  MetricWindow window_;
  absl::Time published_ = absl::InfinitePast();  // live progress
};

}  // namespace shoal::scheduler
