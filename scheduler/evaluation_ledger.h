// What is evaluated and when, the results, and the verdicts.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "common/base/types.h"
#include "common/job/schedule.h"
#include "proto/checkpoint.pb.h"
#include "proto/scheduler.pb.h"
#include "scheduler/job_context.h"
#include "scheduler/records.pb.h"

namespace shoal::scheduler {

// The evaluations of a job, each one record of the table "evaluation". It owns `out_of_reach` of the state. A
// restart forgets the slots of an incomplete evaluation: workers report them in their new sessions. Pure; not
// thread-safe.
//
// Counts, such as confusion matrices of many labels, may be long, and users get all evaluations in one
// message: together they have at most kMaxBytes. Beyond that, the counts are dropped from the records for
// good: first the oldest, last those of the best version and of the test.
class EvaluationLedger {
 public:
  static constexpr size_t kMaxBytes = 8 << 20;

  // `job`, and whatever `context` refers to, must outlive it.
  EvaluationLedger(const JobContext& context, const JobDefinition& job) : context_(context), job_(job) {}

  void Load(const JobStateRecord& record, std::vector<EvaluationRecord> evaluations);
  void SaveTo(JobStateRecord* record) const;
  // Takes over an earlier job's evaluations: computes this job's metric from their statistics, and which of
  // them was the best so far at its time. The job has checkpoints only of the versions `within_reach`.
  void Rejudge(const ResumePoint& resume, const std::set<Version>& within_reach);

  // Where training stops for an evaluation, or ends. Requires the plan.
  Target NextTarget() const;

  // ---- slots of one evaluation ----
  // Returns false if the report is not for `target`, or is known already.
  bool AddSlot(const Target& target, const SlotEvaluated& report);
  bool HasSlot(uint32_t slot) const { return slots_.count(slot) > 0; }
  size_t slots() const { return slots_.size(); }
  bool IsWhole(const Target& target) const;
  struct Verdict {
    Failure failure = std::nullopt;
    bool ends_training = false;
  };
  // Judges a complete evaluation: stores it and reports it.
  Verdict Judge(absl::Time now, const Target& target);

  // ---- what is known ----
  const std::vector<EvaluationRecord>& all() const { return evaluations_; }
  // The best one on the validation examples; null: none yet.
  const EvaluationRecord* BestSoFar() const;
  // The best one that can become the result; null: there is none, or the job keeps its last version.
  const EvaluationRecord* BestToKeep() const;
  // Whether the result was evaluated on the test examples, if there are any.
  bool IsTested() const;
  // The history to store with a checkpoint of `version`.
  CheckpointHistory HistoryBefore(Version version) const;

 private:
  TrainingLength length() const;
  bool EvaluatesWhileTraining() const;
  Version LastEvaluated() const;
  bool IsBetter(const EvaluationRecord& record, const EvaluationRecord* best) const;
  bool IsOutOfPatience() const;
  // Combines all slots, then forgets them.
  EvaluationRecord Summarize(const Target& target);
  // The threshold (Task::ThresholdOf) for an evaluation: the one chosen on the validation examples at the
  // same version, or 0 if they were not evaluated; nullopt for the evaluation of the validation examples.
  std::optional<double> ThresholdFor(const EvaluationRecord& record) const;
  void Append(EvaluationRecord record);
  void Save(size_t index);
  void DropCounts();

  const JobContext context_;
  const JobDefinition& job_;
  std::vector<EvaluationRecord> evaluations_;
  std::vector<uint64_t> out_of_reach_;  // versions that an earlier job evaluated and that have no checkpoint

  // ---- what a restart forgets ----
  std::optional<std::pair<uint64_t, EvaluationSet>> evaluated_;  // the version and set that slots_ belong to
  std::map<uint32_t, EvaluationStatistics> slots_;
};

}  // namespace shoal::scheduler
