// What a job waits for, and who owes it.
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
#include "scheduler/preparation.h"
#include "scheduler/view_rollout.h"

namespace shoal::scheduler {

// Read from a job's parts, for the last resort and for people. Has no state; what it refers to must outlive
// it.
struct StallEvidence {
  const JobContext& context;
  const Preparation& preparation;
  const ViewRollout& rollout;
  const EvaluationLedger& evaluations;
  const CheckpointKeeper& checkpoints;
  const Completion& completion;
  JobState state = JOB_STATE_UNSPECIFIED;
  bool placed = false;  // the nodes of the view are there
  Target target;        // the current one

  LastResort::Situation Situation(absl::Time now) const;
  // That the job needs now: of the view, or who prepares it.
  std::vector<NodeId> NeededNodes() const;
  // Who owes the next step as far as is known, and what, for people.
  std::map<NodeId, std::string> Debtors() const;
  std::string DebtorsText() const;
  // Whether the lowest version still waits for these slots: some shard misses them, or they are not evaluated
  // yet.
  bool Misses(SlotRange slots) const;

 private:
  LastResort::Milestone Milestone() const;
  // The last that one of the nodes which the job needs now is at work for it.
  absl::Time LastSign(absl::Time now) const;
  // Whether it is known what the job waits for, and it is nothing that a new view would bring.
  bool WaitsForOthers() const;
  bool IsBlamed(const std::vector<NodeId>& nodes) const;
  std::map<NodeId, std::string> RoundDebtors() const;
};

}  // namespace shoal::scheduler
