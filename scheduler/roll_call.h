// Which nodes take part in a job: "A job's life", step 1, in docs/protocol.md.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "common/base/types.h"
#include "proto/scheduler.pb.h"
#include "scheduler/job_context.h"
#include "scheduler/records.pb.h"
#include "scheduler/view_planner.h"

namespace shoal::scheduler {

// Sends the nodes the job, and knows from their answers which are prepared, which can't take part or have
// failed, why, and when to ask each of them again. It does not know why a node is asked to derive
// (scheduler/plan_derivation.h).
//
// It owns no field of the state, and reads `view`. A restart forgets who refused what and when: the job is
// offered to all nodes again, but those of the stored view count as prepared until their lease says
// otherwise. Numbers of refusals, failures and failed restores are those in a row. Pure; not thread-safe.
class RollCall {
 public:
  // `job`, and whatever `context` refers to, must outlive it.
  RollCall(const JobContext& context, const JobDefinition& job) : context_(context), job_(job) {}

  void Load(absl::Time now, const JobStateRecord& record);

  // ---- what has happened ----
  void OnSessionOpened(NodeId node) { nodes_[node].offered = false; }
  void OnNodeLost(NodeId node);
  // The node holds the job, with its plan.
  void OnPrepared(NodeId node);
  struct Refusal {
    bool work_failed = false;        // work of the view has failed: a new view is needed, if only to retry
    Failure failure = std::nullopt;  // the job is wrong: nobody can take part
  };
  // `at_work`: the node has slots in the current view.
  // Users are told the reason, except, as long as there is no plan, of an error in spec or data.
  Refusal OnRefused(absl::Time now, const Member& member, const JobRefused& report, bool at_work);
  // Tells users what they have not been told: the job goes on, or waits, without these nodes.
  void TellRefusals(absl::Time now);
  // There is a plan: from now on nodes are asked to hold it. That they could not derive it counts no more.
  void OnPlan();
  // The worker has derived another plan than the job's: counts as a refusal.
  void OnOtherPlan(absl::Time now, NodeId worker);
  // The node has dropped the job for a reason on the scheduler's side.
  void OnDropped(NodeId node) { nodes_[node].Drop(); }
  // All nodes have dropped the job, and are offered it again.
  void DropAll();
  enum class RestoreOutcome {
    kOthersTry,      // others try without it, for a while
    kAllFailed,      // all failed often enough, for long enough
    kAllUnreadable,  // likewise, but only because this version's files give errors
  };
  // The server could not load the restore point, and its files are not damaged.
  RestoreOutcome OnNotLoaded(absl::Time now, NodeId server, const std::string& error, RestoreTrouble trouble);
  void OnLoaded(NodeId server);
  // All shards have that version. If that is further than ever, this forgets how long nobody was able.
  void OnVersion(Version version);
  // Likewise for a slot that the node has evaluated for the first time: its failures are forgotten, too.
  void OnEvaluated(NodeId node);
  // The nodes of `view` have completed whole versions in it, perhaps once more: forgets their failures, and
  // how long nobody was able. Not from ever more restore points without the job getting further.
  void OnProven(const View& view);
  // The node owes something while the job makes no progress: others are preferred until `until`.
  void SetAside(NodeId node, absl::Time until) { nodes_[node].aside_until = until; }
  // Servers that could not load a restore point may try another one at once.
  void RetryServers();
  // What was missing is there again: these servers, and all nodes that refused, may try at once.
  void RetryAll();
  // The plan is no longer valid: has all nodes drop the job, and forgets what they have answered.
  void StartOver();
  // Ends everybody's part in the job. Returns the nodes that took part.
  std::set<NodeId> Close();

  // ---- steps ----
  // First, whenever time has passed or something has happened: notes for how long nobody of a role has been
  // able to take part. `started`: the job has had a view.
  void Watch(absl::Time now, bool started);
  // Asks the worker, if it is connected, to derive the plan, unless it owes an answer or refused a moment
  // ago. `derivation`: as in PrepareJob.
  void AskToDerive(absl::Time now, const Member& worker, uint32_t derivation);
  // The node may be asked at once, whatever it has been asked and has answered before.
  void MakeDue(NodeId node);
  // Sends the job, with its plan, to all nodes that are to be asked now. `except`: derives instead; 0: none.
  void OfferPlan(absl::Time now, NodeId except);
  // What holds back a view whose nodes are chosen afresh: `first`, the job's first one, or one after all
  // servers were lost; nullopt: nothing. Whether it may ever end: Hopeless(). Once enough nodes are prepared,
  // those that are still preparing, and are not leaving, get some more time. Without enough, a first view
  // waits for any time; another one, once a server and a worker are prepared, only as long as it takes the
  // others to come back.
  std::optional<StepResult> NotReady(absl::Time now, bool first);
  // A view has begun: the next one that is chosen afresh waits again.
  void OnViewBegun() { enough_since_ = some_since_ = absl::InfiniteFuture(); }

  // ---- what is known of one node ----
  bool IsPrepared(NodeId node) const { return Find(node).prepared; }
  // It was offered the job, and has not answered.
  bool AwaitsAnswer(NodeId node) const;
  // The node has been silent, or its work makes no progress: others are preferred.
  bool IsSuspect(absl::Time now, NodeId node) const;
  // Whether the node, which has not yet given an answer that counts, may still give one: not if it has been
  // suspect for as long as others have failed, which is since `since`.
  bool IsAwaited(absl::Time now, NodeId node, absl::Time since) const;
  // False for a while after each refusal.
  bool MayBeAsked(absl::Time now, NodeId node) const { return now >= Find(node).ask_at; }
  uint32_t CountRefusals(NodeId node) const { return Find(node).refusals; }
  // When the first of its refusals and failures came. Requires that there are some.
  absl::Time UnableSince(NodeId node) const { return Find(node).unable_since; }
  // Why it does not take part; "": it does, or has not answered.
  const std::string& ReasonOf(NodeId node) const { return Find(node).refused; }
  // "refused job 3: ...", or "".
  std::string TroubleText(NodeId node) const;

  // ---- what is known of all ----
  size_t CountPrepared() const;
  // Whether the job has lacked that role for so long that it must fail. It lacks a role while nodes of it are
  // there, some unable, and each is unable, as it has failed or refused kMaxAttempts times in a row, and not
  // trying once more, or hangs (it is suspect) and has never held the job. Who has not answered yet is waited
  // for; who hangs and holds the job, or has held it and is not unable, and somebody when no node is there,
  // is for a person to bring. With fixed_nodes a job that has not started also lacks a role when a node of it
  // is unable and the others are too few.
  //
  // The nodes show that nobody can when as many as the job wants are unable; of a job that has started only
  // by failures at its work, since others, which could, may come, except with fixed_nodes. That ends the job
  //   - after derive_patience in all in which it lacked the role since the last node became unable;
  //   - but if another node, that was not unable or was trying once more, was lost, left, hung or began to
  //     refuse less than storage_patience before the job lacked the role, or if the nodes don't show it: when
  //     it has lacked the role for storage_patience in all (with fixed_nodes for a moment), since the job
  //     made progress or a node of the role held it for storage_patience without hanging or failing. A
  //     restart of the scheduler counts as if one was lost then.
  // Otherwise a job that has not started waits for as many nodes as it wants for any time.
  bool NobodyCan(NodeRole role) const;
  // Why the job must fail: of a role that it lacks, nobody can.
  Failure Hopeless() const;
  // The scheduler was suspended for that long: nothing was waited for.
  void Awake(absl::Duration asleep);
  // All members, as input for ViewPlanner.
  std::vector<PlannedNode> PlannedNodes(absl::Time now) const;
  // Which nodes of that role, or of any, can't take part or have failed: "; worker-2 can't take part: ..."
  std::string RefusalsText(std::optional<NodeRole> role = std::nullopt) const;
  // Likewise, which nodes hang and so don't answer the offer: "; worker-3 has shown no progress in ..."
  std::string HangingText() const;
  // The nodes that owe an answer to the offer of the plan, if those answers could be enough to begin.
  std::vector<NodeId> Debtors() const;

 private:
  struct Candidate {
    bool offered = false;  // PrepareJob was sent in this session
    absl::Time offered_at;
    bool prepared = false;
    bool has_held = false;                           // has said once that it holds the job
    absl::Time held_since = absl::InfiniteFuture();  // that it is prepared and does not hang, by Watch()
    std::string refused;                             // why it does not take part, until it does
    bool untold = false;                             // users don't know that yet
    uint32_t refusals = 0;
    std::string failure;                            // why its work for the view last failed (worker)
    uint32_t failures = 0;                          // of its work (worker)
    uint64_t failed_view = 0;                       // of the last of them, which it tells in each session
    absl::Time unable_since;                        // when the first of these refusals and failures came
    absl::Time ask_at = absl::InfinitePast();       // after a refusal
    uint32_t failed_restores = 0;                   // (server)
    RestoreTrouble trouble = RESTORE_TROUBLE_NONE;  // of the last failed restore
    absl::Time aside_until = absl::InfinitePast();  // it owed something while the job made no progress

    void Drop() {
      prepared = offered = false;
      held_since = absl::InfiniteFuture();
    }
    bool IsUnable() const { return failures + refusals >= kMaxAttempts; }
  };

  const Candidate& Find(NodeId node) const;
  // How long those that are not there, but may come, are waited for.
  absl::Duration ComingPatience() const;
  bool MayServe(const Member& member) const;
  // Whether it holds the job, or prepares it by its last heartbeat.
  bool IsTrying(NodeId id) const;
  // Whether the node shows that nobody can.
  bool Shows(NodeId node) const;
  uint32_t CountShowing(NodeRole role) const;
  void ForgiveLack();
  // Of `node`, which has just refused.
  void CountRefusal(absl::Time now, bool failed, Candidate* node) const;
  RestoreOutcome JudgeRestores(absl::Time now) const;
  // PrepareJob without its plan.
  Directive Offer() const;
  // Whether PrepareJob should be sent to the node now; if so, notes that it is.
  bool TakeOffer(absl::Time now, Candidate* node) const;
  size_t CountUsable(NodeRole role) const;
  uint32_t Minimum(NodeRole role) const;

  const JobContext context_;
  const JobDefinition& job_;
  const Candidate unknown_;  // stands for each node that `nodes_` lacks

  // ---- what a restart forgets ----
  std::map<NodeId, Candidate> nodes_;
  // Since when enough nodes are prepared for a view whose nodes are chosen afresh, and one of each role.
  absl::Time enough_since_ = absl::InfiniteFuture(), some_since_ = absl::InfiniteFuture();
  absl::Time first_failed_restore_ = absl::InfiniteFuture();  // the first since one was loaded
  struct RoleState {
    std::set<NodeId> serving;  // as MayServe()
    std::set<NodeId> unable;   // as Candidate::IsUnable()
    bool lacks = false;        // as Lacks()
    absl::Duration lacked;     // for how long, in all, since ForgiveLack()
    absl::Duration unchanged;  // and since a node was last added to `unable`
    bool may_return = false;   // at some time since ForgiveLack() it lacked, and `gone` was not long ago
    absl::Time gone =
        absl::InfinitePast();  // when one of `serving` last ceased to be, without showing anything

    void ForgiveLack() {
      lacked = absl::ZeroDuration();
      may_return = false;
    }
  };
  bool Lacks(NodeRole role) const;
  void WatchRole(absl::Time now, NodeRole role, RoleState* state) const;
  // Whether it has held the job for storage_patience, without hanging.
  bool HoldsForLong(const Member& member) const;
  // At the last Watch(), which was at `watched_`:
  std::map<NodeRole, RoleState> roles_;
  absl::Time watched_ = absl::InfiniteFuture();
  bool started_ = false;
  Version furthest_{0};          // by OnVersion()
  RestoreId proven_from_{0};     // the restore point of the last one by OnProven()
  uint32_t proven_in_vain_ = 0;  // how many have been since furthest_
};

}  // namespace shoal::scheduler
