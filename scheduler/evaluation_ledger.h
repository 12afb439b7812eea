// What is evaluated when, what it came to, and what follows from it.
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

// The evaluations of a job, each as one record of the table "evaluation"; of the state it owns
// `out_of_reach`. A restart forgets the slots of an evaluation that is not whole: workers report them in
// their new sessions. Pure; not thread-safe.
class EvaluationLedger {
 public:
  // What `context` refers to, and `job`, must outlive it.
  EvaluationLedger(const JobContext& context, const JobDefinition& job) : context_(context), job_(job) {}

  void Load(const JobStateRecord& record, std::vector<EvaluationRecord> evaluations);
  void SaveTo(JobStateRecord* record) const;
  // Takes over an earlier job's evaluations: computes this job's metric from their statistics, and which were
  // the best when they came. The job has checkpoints of `within_reach` only.
  void JudgeAnew(const ResumePoint& resume, const std::set<Version>& within_reach);

  // Where training stops for an evaluation, or ends. With the plan only.
  Target NextTarget() const;

  // ---- slots of one evaluation ----
  // False: it is not of `target`, or known.
  bool AddSlot(const Target& target, const SlotEvaluated& report);
  bool HasSlot(uint32_t slot) const { return slots_.count(slot) > 0; }
  size_t slots() const { return slots_.size(); }
  bool IsWhole(const Target& target) const;
  struct Verdict {
    Failure failure = std::nullopt;
    bool ends_training = false;
  };
  // Of a whole one: stores it and tells it.
  Verdict Judge(absl::Time now, const Target& target);

  // ---- what is known ----
  const std::vector<EvaluationRecord>& all() const { return evaluations_; }
  // The best on the validation examples; null: none yet.
  const EvaluationRecord* BestSoFar() const;
  // The best of those that the result can be; null: there is none, or the job keeps its last version.
  const EvaluationRecord* BestToKeep() const;
  // On the test examples, if there are any.
  bool IsTested() const;
  // For a checkpoint of `version`.
  CheckpointHistory HistoryBefore(Version version) const;

 private:
  TrainingLength length() const;
  bool EvaluatesWhileTraining() const;
  Version LastEvaluated() const;
  bool IsBetter(const EvaluationRecord& record, const EvaluationRecord* best) const;
  bool IsOutOfPatience() const;
  // Of all slots, which are forgotten.
  EvaluationRecord Summarize(const Target& target);
  void Append(EvaluationRecord record);

  const JobContext context_;
  const JobDefinition& job_;
  std::vector<EvaluationRecord> evaluations_;
  std::vector<uint64_t> out_of_reach_;  // versions that an earlier job evaluated, without a checkpoint

  // ---- what a restart forgets ----
  std::optional<std::pair<uint64_t, EvaluationSet>> evaluated_;  // version and set that slots_ are of
  std::map<uint32_t, EvaluationStatistics> slots_;
};

}  // namespace shoal::scheduler
