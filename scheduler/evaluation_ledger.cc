#include "scheduler/evaluation_ledger.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "common/job/job_plan_check.h"
#include "common/job/job_spec.h"
#include "tasks/registry.h"
#include "tasks/statistics.h"

namespace shoal::scheduler {
namespace {

// What tasks compute metrics and labels' reports from; the threshold of a task is in `sums`, which stay.
void ClearCounts(EvaluationStatistics* statistics) {
  EvaluationStatistics former;  // takes the memory along, which clearing a field keeps
  former.Swap(statistics);
  former.clear_confusion();
  former.clear_results();
  *statistics = former;
}

}  // namespace

void EvaluationLedger::Load(const JobStateRecord& record, std::vector<EvaluationRecord> evaluations) {
  out_of_reach_.assign(record.out_of_reach().begin(), record.out_of_reach().end());
  evaluations_ = std::move(evaluations);
  DropCounts();  // an earlier release kept them all
}

void EvaluationLedger::SaveTo(JobStateRecord* record) const {
  for (uint64_t version : out_of_reach_) record->add_out_of_reach(version);
}

void EvaluationLedger::Append(EvaluationRecord record) {
  evaluations_.push_back(std::move(record));
  Save(evaluations_.size() - 1);
  DropCounts();
}

void EvaluationLedger::Save(size_t index) {
  context_.out->Save(kEvaluationTable, RecordKey(job_.job(), index), evaluations_[index]);
}

void EvaluationLedger::DropCounts() {
  const EvaluationRecord *const best = BestSoFar(), *const kept = BestToKeep();
  size_t bytes = 0;
  for (const bool first : {true, false}) {
    for (size_t i = evaluations_.size(); i-- > 0;) {
      EvaluationRecord& record = evaluations_[i];
      const bool needed = &record == best || &record == kept || record.set() == EVALUATION_SET_TEST;
      if (needed != first) continue;
      const size_t whole = record.ByteSizeLong();
      bytes += whole;
      const bool empty = record.statistics().confusion().empty() && record.statistics().results().empty();
      if (bytes <= kMaxBytes || empty) continue;
      ClearCounts(record.mutable_statistics());
      const size_t without = record.ByteSizeLong();
      if (without < whole) Save(i);
      bytes -= whole - without;
    }
  }
}

void EvaluationLedger::Rejudge(const ResumePoint& resume, const std::set<Version>& within_reach) {
  const Metric metric = job_.spec().evaluation().metric();
  for (EvaluationRecord evaluation : resume.evaluations) {
    if (resume.metric != metric) {
      const bool known = evaluation.statistics().examples() > 0;
      evaluation.set_metric(known ? tasks::MetricValue(job_.spec().task(), metric, evaluation.statistics())
                                  : std::nan(""));
    }
    evaluation.set_best(IsBetter(evaluation, BestSoFar()));
    if (within_reach.count(Version(evaluation.version())) == 0) out_of_reach_.push_back(evaluation.version());
    Append(std::move(evaluation));
  }
}

TrainingLength EvaluationLedger::length() const { return LengthOf(job_.plan()); }

bool EvaluationLedger::EvaluatesWhileTraining() const {
  return job_.plan().validation_examples() > 0 && !job_.spec().evaluation().every().never();
}

Version EvaluationLedger::LastEvaluated() const {
  uint64_t last = job_.origin_version() > 0 ? job_.origin_version() - 1 : 0;
  for (const EvaluationRecord& evaluation : evaluations_) {
    if (evaluation.set() == EVALUATION_SET_VALIDATION) last = std::max(last, evaluation.version());
  }
  return Version(last);
}

Target EvaluationLedger::NextTarget() const {
  Target target;
  target.set_version(length().rounds);
  if (!EvaluatesWhileTraining()) return target;
  const auto next = NextDue(job_.spec().evaluation().every(), length(), LastEvaluated());
  if (next) target.set_version(next->value());
  target.set_evaluate(EVALUATION_SET_VALIDATION);
  return target;
}

// ---- slots ----

bool EvaluationLedger::AddSlot(const Target& target, const SlotEvaluated& report) {
  if (target.evaluate() == EVALUATION_SET_NONE || report.set() != target.evaluate() ||
      report.version() != target.version() || report.slot() >= job_.spec().train().slots()) {
    return false;
  }
  const std::pair of(target.version(), target.evaluate());
  if (evaluated_ != of) slots_.clear();
  evaluated_ = of;
  return slots_.emplace(report.slot(), report.statistics()).second;
}

bool EvaluationLedger::IsWhole(const Target& target) const {
  return evaluated_ == std::pair(target.version(), target.evaluate()) &&
         slots_.size() >= job_.spec().train().slots();
}

EvaluationRecord EvaluationLedger::Summarize(const Target& target) {
  EvaluationRecord record;
  record.set_set(target.evaluate());
  record.set_version(target.version());
  auto slot = slots_.begin();
  *record.mutable_statistics() = slot->second;
  while (++slot != slots_.end()) tasks::AddStatistics(slot->second, record.mutable_statistics());
  slots_.clear();
  evaluated_.reset();
  const JobSpec& spec = job_.spec();
  tasks::Conclude(spec.task(), ThresholdFor(record), record.mutable_statistics());
  record.set_loss(tasks::MeanLoss(record.statistics()));
  record.set_metric(tasks::MetricValue(spec.task(), spec.evaluation().metric(), record.statistics()));
  return record;
}

std::optional<double> EvaluationLedger::ThresholdFor(const EvaluationRecord& record) const {
  if (record.set() == EVALUATION_SET_VALIDATION) return std::nullopt;
  for (const EvaluationRecord& other : evaluations_) {
    if (other.set() == EVALUATION_SET_VALIDATION && other.version() == record.version())
      return tasks::ThresholdOf(job_.spec().task(), other.statistics());
  }
  return 0;
}

EvaluationLedger::Verdict EvaluationLedger::Judge(absl::Time now, const Target& target) {
  EvaluationRecord record = Summarize(target);
  if (!std::isfinite(record.loss())) {
    return {absl::StrCat("version ", record.version(), ": the mean loss of the ",
                         record.set() == EVALUATION_SET_TEST ? "test" : "validation", " examples is ",
                         record.loss(), ", which is not a finite number")};
  }
  record.set_best(IsBetter(record, BestSoFar()));
  Append(record);
  JobEvent event;
  *event.mutable_evaluation() = record;
  context_.history->Add(now, std::move(event));
  if (record.set() != EVALUATION_SET_VALIDATION) return {};
  return {std::nullopt, IsOutOfPatience() || record.version() >= length().rounds};
}

bool EvaluationLedger::IsOutOfPatience() const {
  uint32_t since_best = 0;
  for (const EvaluationRecord& evaluation : evaluations_) {
    if (evaluation.set() == EVALUATION_SET_VALIDATION) since_best = evaluation.best() ? 0 : since_best + 1;
  }
  const uint32_t patience = job_.spec().evaluation().patience();
  return patience > 0 && since_best >= patience;
}

// ---- verdicts ----

// A metric may have no finite value although the loss does (a correlation of constants, a perplexity that
// overflows): it is never better than any other.
bool EvaluationLedger::IsBetter(const EvaluationRecord& record, const EvaluationRecord* best) const {
  if (record.set() != EVALUATION_SET_VALIDATION || !std::isfinite(record.metric())) return false;
  if (best == nullptr) return true;
  return HigherIsBetter(job_.spec().evaluation().metric()) ? record.metric() > best->metric()
                                                           : record.metric() < best->metric();
}

const EvaluationRecord* EvaluationLedger::BestSoFar() const {
  const EvaluationRecord* best = nullptr;
  for (const EvaluationRecord& evaluation : evaluations_) {
    if (evaluation.best()) best = &evaluation;
  }
  return best;
}

const EvaluationRecord* EvaluationLedger::BestToKeep() const {
  const EvaluationRecord* best = nullptr;
  if (!job_.spec().evaluation().keep_best()) return best;
  for (const EvaluationRecord& evaluation : evaluations_) {
    const bool within_reach =
        std::find(out_of_reach_.begin(), out_of_reach_.end(), evaluation.version()) == out_of_reach_.end();
    if (within_reach && IsBetter(evaluation, best)) best = &evaluation;
  }
  return best;
}

bool EvaluationLedger::IsTested() const {
  return std::any_of(evaluations_.begin(), evaluations_.end(), [](const EvaluationRecord& evaluation) {
    return evaluation.set() == EVALUATION_SET_TEST;
  });
}

CheckpointHistory EvaluationLedger::HistoryBefore(Version version) const {
  CheckpointHistory history;
  history.set_metric(job_.spec().evaluation().metric());
  for (const EvaluationRecord& evaluation : evaluations_) {
    if (evaluation.set() == EVALUATION_SET_VALIDATION && evaluation.version() < version.value())
      *history.add_evaluations() = evaluation;
  }
  return history;
}

}  // namespace shoal::scheduler
