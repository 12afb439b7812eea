// What is evaluated when, what follows from it, and how a job comes to its result.
#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/job/job_spec.h"
#include "common/job/metrics.h"
#include "common/storage/checkpoint.h"
#include "scheduler/job_run.h"

namespace shoal::scheduler {
namespace {

std::string TargetKey(Version version, EvaluationSet set) { return absl::StrCat(version.value(), "/", set); }

}  // namespace

void JobRun::OnEvaluated(absl::Time now, const Member& member, const SlotEvaluated& report) {
  if (report.restore_id() != restore_id() || !HasHadSlot(member.id, report.slot())) return;
  const Target target = CurrentTarget(0);
  if (target.evaluate() == EVALUATION_SET_NONE || report.set() != target.evaluate() ||
      report.version() != target.version() || report.slot() >= definition_.spec().train().slots()) {
    return;
  }
  const std::string key = TargetKey(Version(target.version()), target.evaluate());
  if (evaluated_target_ != key) evaluated_.clear();
  evaluated_target_ = key;
  if (evaluated_.emplace(report.slot(), report.statistics()).second) moved_ = now;
}

void JobRun::OnSlotFailed(absl::Time now, const Member& member, const SlotFailed& report) {
  if (report.restore_id() != restore_id() || !HasHadSlot(member.id, report.slot())) return;
  const char* const where = report.set() == EVALUATION_SET_TEST         ? "test after round "
                            : report.set() == EVALUATION_SET_VALIDATION ? "evaluation after round "
                                                                        : "round ";
  End(now, JOB_STATE_FAILED,
      absl::StrCat(where, report.round(), ", slot ", report.slot(), ": ",
                   report.reason().empty() ? "the loss is not a number" : report.reason()));
}

void JobRun::OnResult(absl::Time now, const absl::StatusOr<std::string>& parameters_sha256) {
  computing_result_ = false;
  files_since_ = absl::InfiniteFuture();
  if (state_.state() != JOB_STATE_TESTING) return;
  const absl::Status& status = parameters_sha256.status();
  if (IsCheckpointDamage(status)) {  // it is trained again
    result_trouble_ = ResultTrouble();
    return OnCheckpointChecked(now, Version(state_.kept_version()), status);
  }
  if (!parameters_sha256.ok()) return RetryResult(now, status);
  const StoredCheckpoint* const kept = FindCheckpoint(state_, Version(state_.kept_version()));
  if (kept == nullptr) return;  // lost while it was read: Finish sees to another one
  JobResult& result = *state_.mutable_result();
  result.set_version(state_.kept_version());
  result.set_parameters_sha256(*parameters_sha256);
  result.set_checkpoint(kept->directory());
  result.set_train_seconds(static_cast<double>(state_.running_ms()) / 1000);
  result.set_rounds(state_.trained_rounds());
  result.set_examples(state_.examples());
  result.set_tokens(state_.tokens());
  result.set_stopped_early(state_.stopped_early());
  End(now, JOB_STATE_COMPLETED, "");
}

void JobRun::RetryResult(absl::Time now, const absl::Status& status) {
  ResultTrouble& trouble = result_trouble_;
  const std::string error = absl::StrCat("the result can't be read: ", status.message());
  if (trouble.failures == 0) trouble.since = now;
  if (std::exchange(trouble.error, error) != error) Message(now, error, LogLine::Level::kError);
  trouble.again = now + PauseAfter(trouble.failures++);
  const bool storage = IsStorageTrouble(status);
  if (storage ? now - trouble.since < options_.storage_patience : trouble.failures < kMaxAttempts) return;
  if (!IsUnreadable(status)) return End(now, JOB_STATE_FAILED, error);
  trouble = ResultTrouble();
  LoseCheckpoint(now, Version(state_.kept_version()),
                 absl::UnknownError(absl::StrCat(status.message(), " (its files stay)")));
}

bool JobRun::EvaluatesWhileTraining() const {
  return definition_.plan().validation_examples() > 0 && !definition_.spec().evaluation().every().never();
}

Version JobRun::LastEvaluated() const {
  uint64_t last = definition_.origin_version() > 0 ? definition_.origin_version() - 1 : 0;
  for (const EvaluationRecord& evaluation : evaluations_) {
    if (evaluation.set() == EVALUATION_SET_VALIDATION) last = std::max(last, evaluation.version());
  }
  return Version(last);
}

const EvaluationRecord* JobRun::BestSoFar() const {
  const EvaluationRecord* best = nullptr;
  for (const EvaluationRecord& evaluation : evaluations_) {
    if (evaluation.best()) best = &evaluation;
  }
  return best;
}

const EvaluationRecord* JobRun::BestToKeep() const {
  const EvaluationRecord* best = nullptr;
  if (!definition_.spec().evaluation().keep_best()) return best;
  const auto& gone = state_.out_of_reach();
  for (const EvaluationRecord& evaluation : evaluations_) {
    const bool within_reach = std::find(gone.begin(), gone.end(), evaluation.version()) == gone.end();
    if (within_reach && IsBetter(evaluation, best)) best = &evaluation;
  }
  return best;
}

bool JobRun::Tested() const {
  return std::any_of(evaluations_.begin(), evaluations_.end(), [](const EvaluationRecord& evaluation) {
    return evaluation.set() == EVALUATION_SET_TEST;
  });
}

Target JobRun::CurrentTarget(uint64_t restore_id) const {
  Target target;
  target.set_job(definition_.job());
  target.set_restore_id(restore_id);
  if (state_.state() == JOB_STATE_TESTING && !state_.past_kept()) {
    target.set_version(state_.kept_version());
    if (definition_.plan().test_examples() > 0 && !Tested()) target.set_evaluate(EVALUATION_SET_TEST);
    return target;
  }
  if (state_.state() == JOB_STATE_TESTING) {  // until the servers have gone back
    target.set_version(state_.trained_rounds());
    return target;
  }
  target.set_version(length().rounds);
  if (!EvaluatesWhileTraining()) return target;
  const auto next = NextDue(definition_.spec().evaluation().every(), length(), LastEvaluated());
  if (next) target.set_version(next->value());
  target.set_evaluate(EVALUATION_SET_VALIDATION);
  return target;
}

void JobRun::Judge(absl::Time now) {
  if (state_.view().view() == 0) return;
  const Target target = CurrentTarget(0);
  const Version version(target.version());
  // Servers report a version together with its rounds' statistics: with it, none of them is missing in the
  // metrics.
  if (LowestVersion() < version) return;
  if (target.evaluate() != EVALUATION_SET_NONE) {
    if (evaluated_target_ != TargetKey(version, target.evaluate())) return;
    if (evaluated_.size() < definition_.spec().train().slots()) return;
    RecordEvaluation(now, target);
    return;
  }
  if (state_.state() == JOB_STATE_RUNNING) EndTraining(now, version);
}

void JobRun::RecordEvaluation(absl::Time now, const Target& target) {
  const JobSpec& spec = definition_.spec();
  EvaluationRecord record;
  record.set_set(target.evaluate());
  record.set_version(target.version());
  auto slot = evaluated_.begin();
  *record.mutable_statistics() = slot->second;
  while (++slot != evaluated_.end()) AddStatistics(slot->second, record.mutable_statistics());
  evaluated_.clear();
  evaluated_target_.clear();
  record.set_loss(MeanLoss(record.statistics()));
  record.set_metric(MetricValue(spec.task(), spec.evaluation().metric(), record.statistics()));
  if (!std::isfinite(record.loss())) {
    return End(now, JOB_STATE_FAILED,
               absl::StrCat("version ", record.version(), ": the mean loss of the ",
                            record.set() == EVALUATION_SET_TEST ? "test" : "validation", " examples is ",
                            record.loss(), ", which is not a finite number"));
  }
  record.set_best(IsBetter(record, BestSoFar()));
  evaluations_.push_back(record);
  SaveEvaluation(evaluations_.size() - 1);
  JobEvent event;
  *event.mutable_evaluation() = record;
  Emit(now, std::move(event));
  if (record.set() != EVALUATION_SET_VALIDATION) return;

  uint32_t since_best = 0;
  for (const EvaluationRecord& evaluation : evaluations_) {
    if (evaluation.set() == EVALUATION_SET_VALIDATION) since_best = evaluation.best() ? 0 : since_best + 1;
  }
  const bool out_of_patience = spec.evaluation().patience() > 0 && since_best >= spec.evaluation().patience();
  if (out_of_patience || record.version() >= length().rounds) EndTraining(now, Version(record.version()));
}

// A metric may have no finite value though the loss has (a correlation of constants, a perplexity that
// overflows): it is never better than anything.
bool JobRun::IsBetter(const EvaluationRecord& record, const EvaluationRecord* best) const {
  if (record.set() != EVALUATION_SET_VALIDATION || !std::isfinite(record.metric())) return false;
  if (best == nullptr) return true;
  return HigherIsBetter(definition_.spec().evaluation().metric()) ? record.metric() > best->metric()
                                                                  : record.metric() < best->metric();
}

void JobRun::JudgeAnew(const ResumePoint& resume) {
  const JobSpec& spec = definition_.spec();
  const Metric metric = spec.evaluation().metric();
  for (EvaluationRecord evaluation : resume.evaluations) {
    if (resume.metric != metric) {
      const bool known = evaluation.statistics().examples() > 0;
      evaluation.set_metric(known ? MetricValue(spec.task(), metric, evaluation.statistics()) : std::nan(""));
    }
    evaluation.set_best(IsBetter(evaluation, BestSoFar()));
    if (FindCheckpoint(state_, Version(evaluation.version())) == nullptr)
      state_.add_out_of_reach(evaluation.version());
    evaluations_.push_back(std::move(evaluation));
    SaveEvaluation(evaluations_.size() - 1);
  }
}

void JobRun::EndTraining(absl::Time now, Version version) {
  if (window_.examples() > 0) RecordMetrics(now);
  state_.set_running_ms(state_.running_ms() + absl::ToInt64Milliseconds(ran_));
  ran_ = absl::ZeroDuration();
  const EvaluationRecord* const best = BestToKeep();
  const EvaluationRecord* const best_of_all = BestSoFar();
  if (best != nullptr && best_of_all->version() != best->version()) {
    Message(
        now,
        absl::StrCat("version ", best_of_all->version(), ", the best, has no checkpoint any more: version ",
                     best->version(), " is kept, the best of those that have one"),
        LogLine::Level::kWarning);
  }
  trained_ = now;
  state_.set_trained_unix_ms(absl::ToUnixMillis(now));
  state_.set_trained_rounds(version.value());
  state_.set_stopped_early(version.value() < length().rounds);
  state_.set_kept_version(best != nullptr ? best->version() : version.value());
  state_.set_past_kept(state_.kept_version() < version.value());
  SetState(now, JOB_STATE_TESTING, "");
}

bool JobRun::ResultMayCome() const {
  const Version kept(state_.kept_version());
  if (IsBeingCommitted(kept, /*waiting=*/true)) return true;
  if (FindFailedWrite(kept) != nullptr || state_.view().restore().version() >= kept.value()) return false;
  // Servers write and report versions in their order.
  return !state_.past_kept() || FindCheckpoint(state_, Version(state_.trained_rounds())) == nullptr;
}

void JobRun::RemakeResult(absl::Time now) {
  const std::string what = absl::StrCat("the checkpoint of version ", state_.kept_version(), ", the result,");
  Explain(absl::StrCat(what, " is being written", write_trouble_.empty() ? "" : "; ", write_trouble_));
  const FailedWrite* const failed = FindFailedWrite(Version(state_.kept_version()));
  if (failed != nullptr && failed->kind() == FailedWrite::NOT_FINITE) {
    return End(now, JOB_STATE_FAILED,
               absl::StrCat("version ", state_.kept_version(), ", the result: ", failed->error()));
  }
  if (WritingIsHopeless(now, Version(state_.kept_version())))  // nor would it be after more rounds
    return End(now, JOB_STATE_FAILED, absl::StrCat(what, " could not be written: ", write_trouble_));
  if (ResultMayCome() || state_.restore_wanted()) return;
  state_.set_rewrites(state_.rewrites() + 1);
  const bool not_written = failed != nullptr && failed->kind() == FailedWrite::NOT_WRITTEN;
  if (state_.rewrites() >= (not_written ? kMaxFailedResults : kMaxAttempts)) {
    return End(
        now, JOB_STATE_FAILED,
        absl::StrCat(what, failed == nullptr ? " was lost again and again"
                                             : absl::StrCat(" could not be written: ", failed->error())));
  }
  Message(now, absl::StrCat(what, " is not there: its last rounds are trained again"),
          LogLine::Level::kWarning);
  WantRestore();
}

void JobRun::Finish(absl::Time now) {
  if (state_.state() != JOB_STATE_TESTING) return;
  const Version kept(state_.kept_version());
  const StoredCheckpoint* checkpoint = FindCheckpoint(state_, kept);
  if (checkpoint == nullptr) return RemakeResult(now);
  const Version last(state_.trained_rounds());
  if (state_.past_kept() && FindCheckpoint(state_, last) == nullptr && FindFailedWrite(last) == nullptr) {
    // Once the servers have gone back, nobody could write it any more.
    if (WritingIsHopeless(now, last)) return WriteFailed(now, last, write_trouble_);
    return Explain(absl::StrCat("the checkpoint of version ", last.value(), ", the last, is being written",
                                write_trouble_.empty() ? "" : "; ", write_trouble_));
  }
  if (definition_.plan().test_examples() > 0 && !Tested()) {
    Explain(absl::StrCat("version ", kept.value(), " is evaluated on the test examples"));
    if (state_.past_kept()) WantRestore();
    return;
  }
  if (computing_result_) return;
  if (result_trouble_.failures > 0 && now < result_trouble_.again)
    return Explain(absl::StrCat(result_trouble_.error, "; it is tried again"));
  computing_result_ = true;
  Explain("the result is read");
  out_->Do(ComputeResult{id(), kept, checkpoint->directory()});
}

}  // namespace shoal::scheduler
