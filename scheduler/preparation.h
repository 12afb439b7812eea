// Who takes part in a job: "A job's life", step 1, in docs/protocol.md.
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

// Brings about the job's plan, offers it to all nodes, and knows which of them are prepared, which can't take
// part or have failed, why, and when each is to be asked again. It writes JobDefinition, and nobody else
// does; of the state it owns `deriver` and `derivations`.
//
// A restart forgets who refused what and when: nodes are offered the job anew, but those of the stored view
// count as prepared until their lease says otherwise. Pure; not thread-safe.
class Preparation {
 public:
  // What `context` refers to must outlive it.
  Preparation(const JobContext& context, JobDefinition definition);

  // A new job.
  void SaveDefinition();
  void Load(const JobStateRecord& record);
  void SaveTo(JobStateRecord* record) const;

  // The reference stays valid.
  const JobDefinition& definition() const { return definition_; }
  bool has_plan() const { return definition_.has_plan(); }
  NodeId deriver() const { return deriver_; }  // 0: nobody

  // ---- what has happened ----
  void OnSessionOpened(NodeId node);
  void OnNodeLost(NodeId node);
  // Brings the plan, if the node was to derive it: a bad one counts as a refusal.
  Failure OnPrepared(absl::Time now, const Member& member, const JobPrepared& report);
  struct Refusal {
    bool work_failed = false;  // of the view: a new one is needed, if only to try again
    Failure failure = std::nullopt;
  };
  // `at_work`: it has slots in the current view.
  Refusal OnRefused(absl::Time now, const Member& member, const JobRefused& report, bool at_work);
  // The node has dropped the job, for a reason of the scheduler's.
  void OnDropped(NodeId node);
  // All have, and are offered it again.
  void DropAll();
  // The scheduler has no artifact of this digest, or it is damaged: a worker derives it again.
  void OnArtifactLost(absl::Time now, const std::string& sha256);
  enum class RestoreOutcome {
    kOthersTry,      // without it, for a while
    kAllFailed,      // often enough, for long enough, with all that the job has
    kAllUnreadable,  // so too, but only this version's files give errors
  };
  // The server could not load the restore point, and its files are not damaged.
  RestoreOutcome OnNotLoaded(absl::Time now, NodeId server, const std::string& error, RestoreTrouble trouble);
  void OnLoaded(NodeId server);
  // These have brought a whole version about in the current view.
  void ForgiveFailures(const View& view);
  // It owes something though nothing moves: others first, until then.
  void SetAside(NodeId node, absl::Time until) { nodes_[node].aside_until = until; }
  // Servers that could not load a restore point may load another one, at once.
  void RetryServers();
  // Nobody takes part any more. Returns who did.
  std::set<NodeId> Close();

  // ---- steps ----
  // Before the first view: when most workers that have the data have others than the plan's, one of them
  // derives it anew. Once, so that workers which all have different data come to an end.
  void DeriveAnewByMajority(absl::Time now);
  // As long as there is no plan.
  StepResult Derive(absl::Time now);
  // Asks a worker for artifacts that were lost; the job goes on meanwhile.
  void DeriveLostArtifacts(absl::Time now, const View& view);
  void OfferPlan(absl::Time now);
  // What keeps the first view from being written; nullopt: nothing. Nodes that are still preparing are given
  // some time when enough of the others are there.
  std::optional<StepResult> NotReady(absl::Time now);

  // ---- what is known ----
  bool IsPrepared(NodeId node) const;
  size_t CountPrepared() const;
  // The node has been silent, or its work does not get on: others first.
  bool IsSuspect(absl::Time now, NodeId node) const;
  // All nodes of that role, and they are as many as the job wants, have failed or refused often enough, for
  // long enough.
  bool NobodyCan(absl::Time now, NodeRole role) const;
  // All members, as ViewPlanner wants them.
  std::vector<PlannedNode> PlannedNodes(absl::Time now) const;
  // Who can't take part or has failed, of that role or of any: "; worker-2 can't take part: ..."
  std::string Refusals(std::optional<NodeRole> role = std::nullopt) const;
  // Who owes the plan; or an answer to the offer, if the answers could be enough to begin.
  std::vector<NodeId> Debtors() const;
  // Of the plan; of a job that has ended only what export needs.
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
    uint32_t refusals = 0;    // in a row
    std::string failure;      // why its work for the view failed last (worker)
    uint32_t failures = 0;    // of its work, in a row (worker)
    absl::Time unable_since;  // first of these refusals and failures
    // What is wrong with spec or data, as it found when it was to derive.
    std::string data_error;
    int vote = 0;  // worker with the data: 1 when they are the plan's, -1 when they differ
    absl::Time ask_at = absl::InfinitePast();         // after a refusal
    absl::Time may_derive_at = absl::InfinitePast();  // after it could not derive lost artifacts
    uint32_t derive_refusals = 0;                     // to derive these
    uint32_t failed_restores = 0;                     // in a row (server)
    RestoreTrouble trouble = RESTORE_TROUBLE_NONE;    // of the last of these
    absl::Time aside_until = absl::InfinitePast();    // it owed something when nothing moved
  };

  const Candidate* Find(NodeId node) const;
  // FAILED_PRECONDITION when the plan is not that of the checkpoint which the job goes on from.
  absl::Status CheckOrigin(const JobPlan& plan) const;
  void TakePlan(absl::Time now, const Member& member, const JobPlan& plan);
  void OnRederived(absl::Time now, const Member& member, const JobPlan& plan);
  void CountRefusal(absl::Time now, const std::string& reason, bool failed, Candidate* node) const;
  // Whether the node, which has said nothing that counts, may still do so: not when it has been a suspect for
  // as long as others have failed.
  bool IsAwaited(absl::Time now, NodeId node, absl::Time since) const;
  // What is wrong with spec or data, once it is sure that it is not one worker's copy alone: two machines say
  // so, or nobody else can be asked and the patience is over. Empty: nothing.
  std::string DataError(absl::Time now) const;
  // A worker to derive the plan; null: none can do it now.
  const Member* ChooseDeriver(absl::Time now);
  const Member* NextDeriver(absl::Time now) const;
  const Member* ChooseRederiver(absl::Time now, const View& view) const;
  // Whether a worker may still derive what is lost, or come.
  bool MayBeRederived() const;
  // It can't do it: others are asked first.
  void GiveUpRederiver(absl::Time now);
  // PrepareJob without its plan.
  Directive Offer() const;
  // Whether PrepareJob is to be sent to the node now; notes that it is.
  bool TakeOffer(absl::Time now, Candidate* node) const;
  size_t CountUsable(NodeRole role) const;
  uint32_t Minimum(NodeRole role) const;

  const JobContext context_;
  JobDefinition definition_;
  NodeId deriver_{0};
  uint32_t derivations_ = 0;  // of the plan's artifacts, as the scheduler has lost some

  // ---- what a restart forgets ----
  std::map<NodeId, Candidate> nodes_;
  bool derived_anew_ = false;
  absl::Time enough_since_ = absl::InfiniteFuture();          // enough nodes are prepared for a first view
  absl::Time first_failed_restore_ = absl::InfiniteFuture();  // since one was loaded
  std::string lost_artifact_;                                 // name of one; "": none is
  NodeId rederiver_{0};                                       // worker that was asked for it; 0: none
};

}  // namespace shoal::scheduler
