// Which nodes take part in a job: "A job's life", step 1, in docs/protocol.md.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/base/types.h"
#include "proto/scheduler.pb.h"
#include "scheduler/job_context.h"
#include "scheduler/records.pb.h"
#include "scheduler/view_planner.h"

namespace shoal::scheduler {

// Obtains the job's plan, offers it to all nodes, and knows which of them are prepared, which can't take part
// or have failed, why, and when to ask each of them again. It alone writes JobDefinition; of the state it
// owns `deriver` and `derivations`.
//
// A restart forgets who refused what and when: the job is offered to all nodes again, but those of the stored
// view count as prepared until their lease says otherwise. Pure; not thread-safe.
class Preparation {
 public:
  // Whatever `context` refers to must outlive it.
  Preparation(const JobContext& context, JobDefinition definition);

  // Stores the definition of a new job.
  void SaveDefinition();
  void Load(const JobStateRecord& record);
  void SaveTo(JobStateRecord* record) const;

  // The reference stays valid.
  const JobDefinition& definition() const { return definition_; }
  bool has_plan() const { return definition_.has_plan(); }
  NodeId deriver() const { return deriver_; }  // 0: none

  // ---- what has happened ----
  void OnSessionOpened(NodeId node);
  void OnNodeLost(NodeId node);
  // The report brings the plan if the node was asked to derive it; a bad plan counts as a refusal.
  Failure OnPrepared(absl::Time now, const Member& member, const JobPrepared& report);
  struct Refusal {
    bool work_failed = false;  // work of the view has failed: a new view is needed, if only to retry
    Failure failure = std::nullopt;
  };
  // `at_work`: the node has slots in the current view.
  Refusal OnRefused(absl::Time now, const Member& member, const JobRefused& report, bool at_work);
  // The node has dropped the job for a reason on the scheduler's side.
  void OnDropped(NodeId node);
  // All nodes have dropped the job, and are offered it again.
  void DropAll();
  // The scheduler has no artifact of this digest, or it is damaged: a worker derives it again.
  void OnArtifactLost(absl::Time now, const std::string& sha256);
  enum class RestoreOutcome {
    kOthersTry,      // others try without it, for a while
    kAllFailed,      // all failed often enough, for long enough; no lost artifact is to come
    kAllUnreadable,  // likewise, but only because this version's files give errors
  };
  // The server could not load the restore point, and its files are not damaged.
  RestoreOutcome OnNotLoaded(absl::Time now, NodeId server, const std::string& error, RestoreTrouble trouble);
  void OnLoaded(NodeId server);
  // The nodes of `view` have completed a whole version in it: forgets their failures.
  void ForgiveFailures(const View& view);
  // The node owes something while the job makes no progress: others are preferred until `until`.
  void SetAside(NodeId node, absl::Time until) { nodes_[node].aside_until = until; }
  // Servers that could not load a restore point may try another one at once.
  void RetryServers();
  // Ends everybody's part in the job. Returns the nodes that took part.
  std::set<NodeId> Close();

  // ---- steps ----
  // Before the first view: if most workers with data have different data than the plan was
  // made from, one of them derives it again. Done once only, so that it ends even if all workers have
  // different data.
  void DeriveAnewByMajority(absl::Time now);
  // Call while there is no plan.
  StepResult Derive(absl::Time now);
  // Asks a worker to derive lost artifacts again; the job goes on meanwhile.
  void DeriveLostArtifacts(absl::Time now, const View& view);
  void OfferPlan(absl::Time now);
  // What holds back the first view; nullopt: nothing. Once enough nodes are prepared, those that are still
  // preparing get some more time.
  std::optional<StepResult> NotReady(absl::Time now);

  // ---- what is known ----
  bool IsPrepared(NodeId node) const;
  size_t CountPrepared() const;
  // The node has been silent, or its work makes no progress: others are preferred.
  bool IsSuspect(absl::Time now, NodeId node) const;
  // Whether there are as many nodes of that role as the job wants, and all of them have failed or refused
  // often enough, for long enough.
  bool NobodyCan(absl::Time now, NodeRole role) const;
  // All members, as input for ViewPlanner.
  std::vector<PlannedNode> PlannedNodes(absl::Time now) const;
  // Which nodes of that role, or of any, can't take part or have failed: "; worker-2 can't take part: ..."
  std::string Refusals(std::optional<NodeRole> role = std::nullopt) const;
  // The nodes that owe the plan, or an answer to the offer if those answers could be enough to begin.
  std::vector<NodeId> Debtors() const;
  // Adds the plan's artifacts; for a job that has ended, only those that export needs.
  void AddNeededArtifacts(bool ended, std::set<std::string>* sha256) const;
  // "refused job 3: ...", or "".
  std::string TroubleText(NodeId node) const;
  bool AwaitsAnswer(NodeId node) const;

 private:
  struct Candidate {
    bool offered = false;  // PrepareJob was sent in this session
    absl::Time offered_at;
    bool prepared = false;
    std::string refused;      // why it does not take part, until it does
    uint32_t refusals = 0;    // consecutive
    std::string failure;      // why its work for the view last failed (worker)
    uint32_t failures = 0;    // of its work, consecutive (worker)
    absl::Time unable_since;  // when the first of these refusals and failures came
    // What it found wrong with spec or data when it was asked to derive.
    std::string data_error;
    int vote = 0;  // worker with data: 1 if they are the plan's, -1 if they differ
    absl::Time ask_at = absl::InfinitePast();         // after a refusal
    absl::Time may_derive_at = absl::InfinitePast();  // after it could not derive lost artifacts
    uint32_t derive_refusals = 0;                     // refusals to derive these
    uint32_t failed_restores = 0;                     // consecutive (server)
    RestoreTrouble trouble = RESTORE_TROUBLE_NONE;    // of the last failed restore
    absl::Time aside_until = absl::InfinitePast();    // it owed something while the job made no progress
  };

  const Candidate* Find(NodeId node) const;
  // FAILED_PRECONDITION when the plan differs from that of the checkpoint that the job continues from.
  absl::Status CheckOrigin(const JobPlan& plan) const;
  void TakePlan(absl::Time now, const Member& member, const JobPlan& plan);
  void OnRederived(absl::Time now, const Member& member, const JobPlan& plan);
  void CountRefusal(absl::Time now, const std::string& reason, bool failed, Candidate* node) const;
  // Whether the node, which has not yet given an answer that counts, may still give one: not if it has been
  // suspect for as long as others have failed.
  bool IsAwaited(absl::Time now, NodeId node, absl::Time since) const;
  // What is wrong with spec or data, once it is certain that not just one worker's copy is bad: two machines
  // say so, or nobody else can be asked and the patience has run out. Empty: nothing.
  std::string DataError(absl::Time now) const;
  // Chooses a worker to derive the plan; null: none can do it now.
  const Member* ChooseDeriver(absl::Time now);
  const Member* NextDeriver(absl::Time now) const;
  const Member* ChooseRederiver(absl::Time now, const View& view) const;
  // Whether a worker, present or yet to join, may still derive what is lost.
  bool MayBeRederived() const;
  // The worker can't do it: others are asked first.
  void GiveUpRederiver(absl::Time now);
  // PrepareJob without its plan.
  Directive Offer() const;
  // Whether PrepareJob should be sent to the node now; if so, notes that it is.
  bool TakeOffer(absl::Time now, Candidate* node) const;
  size_t CountUsable(NodeRole role) const;
  uint32_t Minimum(NodeRole role) const;

  const JobContext context_;
  JobDefinition definition_;
  NodeId deriver_{0};
  uint32_t derivations_ = 0;  // of the plan's artifacts, because the scheduler has lost some

  // ---- what a restart forgets ----
  std::map<NodeId, Candidate> nodes_;
  bool derived_anew_ = false;
  absl::Time enough_since_ = absl::InfiniteFuture();  // since when enough nodes are prepared for a first view
  absl::Time first_failed_restore_ = absl::InfiniteFuture();  // the first since one was loaded
  std::string lost_artifact_;                                 // its name; "": none
  NodeId rederiver_{0};                                       // the worker that was asked for it; 0: none
};

}  // namespace shoal::scheduler
