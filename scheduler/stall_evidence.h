// What a job is waiting for, and from which nodes.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "common/base/types.h"
#include "proto/scheduler.pb.h"
#include "scheduler/checkpoint_keeper.h"
#include "scheduler/completion.h"
#include "scheduler/evaluation_ledger.h"
#include "scheduler/job_context.h"
#include "scheduler/last_resort.h"
#include "scheduler/plan_derivation.h"
#include "scheduler/roll_call.h"
#include "scheduler/view_rollout.h"

namespace shoal::scheduler {

// Read from a job's parts, for the last resort and for users. Has no state; what it refers to must outlive
// it.
struct StallEvidence {
  const JobContext& context;
  const JobDefinition& job;
  const PlanDerivation& derivation;
  const RollCall& roll_call;
  const ViewRollout& rollout;
  const EvaluationLedger& evaluations;
  const CheckpointKeeper& checkpoints;
  const Completion& completion;
  JobState state = JOB_STATE_UNSPECIFIED;
  bool placed = false;  // all nodes of the view are present
  Target target;        // the current one

  LastResort::Situation Situation(absl::Time now) const;
  // The nodes that the job needs now: those of the view, or those preparing it.
  std::vector<NodeId> NeededNodes() const;
  // Those of them that the job is waiting for: with an installed view only its debtors and the servers, whose
  // reports say who they are.
  std::vector<NodeId> AwaitedNodes() const;
  // The nodes that the job is waiting for, as far as is known, and for what, as text for users.
  std::map<NodeId, std::string> Debtors() const;
  std::string DebtorsText() const;
  // Whether the lowest version still waits for these slots: some shard lacks them, or they are not evaluated
  // yet.
  bool Misses(SlotRange slots) const;

 private:
  LastResort::Milestone Milestone() const;
  // The last sign that one of the nodes that the job needs now is working on it.
  absl::Time LastSign(absl::Time now) const;
  // Whether the job is known to wait for something that a new view would not provide.
  bool WaitsForOthers() const;
  bool IsBlamed(const std::vector<NodeId>& nodes) const;
  std::map<NodeId, std::string> RoundDebtors() const;
};

}  // namespace shoal::scheduler
