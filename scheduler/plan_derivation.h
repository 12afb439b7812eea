// Where a job's plan and its artifacts come from: "A job's life", step 1, in docs/protocol.md.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/base/types.h"
#include "proto/scheduler.pb.h"
#include "scheduler/job_context.h"
#include "scheduler/records.pb.h"
#include "scheduler/roll_call.h"

namespace shoal::scheduler {

// Chooses the worker that derives the plan, checks and stores the plan, drops it when most workers have
// different data, finds out whether spec or data are wrong, and has lost artifacts derived again. Which
// worker can be asked, and what it answered, it reads from the roll call. It alone changes the job's
// definition, and writes it to the store; of the state it owns `deriver` and `derivations`.
//
// A restart forgets which workers have found errors or different data, and who derives lost artifacts. Pure;
// not thread-safe.
class PlanDerivation {
 public:
  // `job`, `roll_call`, which refers to the same job, and whatever `context` refers to, must outlive it.
  PlanDerivation(const JobContext& context, JobDefinition* job, RollCall* roll_call)
      : context_(context), job_(job), roll_call_(roll_call) {}

  // Stores the definition of a new job.
  void SaveDefinition();
  void Load(const JobStateRecord& record);
  void SaveTo(JobStateRecord* record) const;

  // ---- what has happened ----
  void OnNodeLost(NodeId node);
  // Takes the plan that the report brings if there is none yet. Tells the roll call that the node is
  // prepared, has dropped the job (its plan is another one) or has refused (its plan is bad). Ignored while
  // there is no plan.
  void OnPrepared(absl::Time now, const Member& member, const JobPrepared& report);
  // Notes what the refusal says about the data. Does not tell the roll call.
  void OnRefused(absl::Time now, const Member& member, const JobRefused& report);
  // The scheduler has no artifact of this digest, or it is damaged: a worker derives it again. Ignored if the
  // plan has no such artifact, or another one is lost already.
  void OnArtifactLost(absl::Time now, const std::string& sha256);
  // The scheduler was suspended for that long: nothing was waited for.
  void Awake(absl::Duration asleep) {
    judged_ += asleep;
    others_since_ += asleep;
  }
  // The job has ended.
  void Close();

  // ---- steps ----
  // Before the first view: if most workers with data have different data than the plan was made from, one of
  // them derives it again. Done once only, so that it ends even if all workers have different data.
  void DeriveAnewByMajority(absl::Time now);
  // Call while there is no plan.
  StepResult Derive(absl::Time now);
  // Asks a worker to derive lost artifacts again; the job goes on meanwhile.
  void DeriveLostArtifacts(absl::Time now, const View& view);

  // ---- what is known ----
  NodeId deriver() const { return deriver_; }      // of the plan; 0: none
  NodeId rederiver() const { return rederiver_; }  // of lost artifacts; 0: none
  // The nodes that owe the plan.
  std::vector<NodeId> Debtors() const;
  // Whether an artifact is lost that a worker, present or yet to join, may still derive.
  bool ExpectsArtifact(const View& view) const;
  // Adds the plan's artifacts; for a job that has ended only those that an export needs, and none if it left
  // nothing to export. `has_checkpoint`: or may still get one.
  void AddNeededArtifacts(bool ended, bool has_checkpoint, std::set<std::string>* sha256) const;

 private:
  struct Worker {
    bool found_error = false;  // it last refused because spec or data are wrong
    int vote = 0;              // 1: its data are the plan's; -1: they differ; 0: no data
    absl::Time may_derive_at = absl::InfinitePast();  // after it could not derive lost artifacts
    uint32_t derive_refusals = 0;                     // refusals to derive these
    bool left_its_work = false;                       // it had slots when it was asked to
  };

  Worker Find(NodeId node) const;
  // Whether the plan is the job's, or becomes it.
  bool OnPlan(absl::Time now, const Member& member, const JobPlan& plan);
  void TakePlan(absl::Time now, const Member& member, const JobPlan& plan);
  void OnRederived(absl::Time now, const Member& member, const JobPlan& plan);
  // FAILED_PRECONDITION when the plan differs from that of the checkpoint that the job continues from.
  absl::Status CheckOrigin(const JobPlan& plan) const;
  // What is wrong with spec or data, once it is certain that not just one worker's copy is bad: two machines
  // say so, or nobody else can be asked and the patience has run out. Empty: nothing.
  std::string DataError(absl::Time now);
  // Chooses a worker to derive the plan; null: none can do it now.
  const Member* ChooseDeriver(absl::Time now);
  // Of the workers that may be asked now, the one that has refused least often; null: none.
  const Member* NextDeriver(absl::Time now) const;
  bool MayRederive(NodeId node, const View& view) const;
  const Member* ChooseRederiver(absl::Time now, const View& view) const;
  // The worker can't do it: others are asked first.
  void GiveUpRederiver(absl::Time now);

  const JobContext context_;
  JobDefinition* const job_;
  RollCall* const roll_call_;
  NodeId deriver_{0};
  uint32_t derivations_ = 0;  // of the plan's artifacts, because the scheduler has lost some

  // ---- what a restart forgets ----
  std::map<NodeId, Worker> workers_;
  bool derived_anew_ = false;
  std::string lost_artifact_;  // its name; "": none
  NodeId rederiver_{0};
  // For how long, in all, no worker was there that might find the data in order, while others had found an
  // error; whether that was so at the last DataError(), and when that was.
  absl::Duration alone_;
  bool is_alone_ = false;
  absl::Time judged_;
  absl::Time others_since_ = absl::InfiniteFuture();  // since when there has been such a worker
};

}  // namespace shoal::scheduler
