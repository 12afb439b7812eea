#include "scheduler/completion.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/job/checkpoint_plan.h"
#include "common/job/job_plan_check.h"
#include "common/storage/checkpoint.h"

namespace shoal::scheduler {
namespace {

Completion::Step Waits(std::string reason, bool wants_restore = false) {
  return {{std::nullopt, std::move(reason)}, wants_restore};
}

Completion::Step Fails(std::string why) { return {{std::move(why)}}; }

}  // namespace

void Completion::Load(const JobStateRecord& record) {
  trained_unix_ms_ = record.trained_unix_ms();
  trained_rounds_ = record.trained_rounds();
  stopped_early_ = record.stopped_early();
  kept_version_ = record.kept_version();
  past_kept_ = record.past_kept();
  rewrites_ = record.rewrites();
  has_result_ = record.has_result();
  result_ = record.result();
}

void Completion::SaveTo(JobStateRecord* record) const {
  record->set_trained_unix_ms(trained_unix_ms_);
  record->set_trained_rounds(trained_rounds_);
  record->set_stopped_early(stopped_early_);
  record->set_kept_version(kept_version_);
  record->set_past_kept(past_kept_);
  record->set_rewrites(rewrites_);
  if (has_result_) *record->mutable_result() = result_;
}

void Completion::EndTraining(absl::Time now, Version version) {
  const EvaluationRecord* const best = evaluations_.BestToKeep();
  const EvaluationRecord* const best_of_all = evaluations_.BestSoFar();
  if (best != nullptr && best_of_all->version() != best->version()) {
    context_.history->Warn(now, absl::StrCat("version ", best_of_all->version(),
                                             ", the best, no longer has a checkpoint: version ",
                                             best->version(), " is kept, the best of those that have one"));
  }
  trained_ = now;
  trained_unix_ms_ = absl::ToUnixMillis(now);
  trained_rounds_ = version.value();
  stopped_early_ = version.value() < LengthOf(job_.plan()).rounds;
  kept_version_ = best != nullptr ? best->version() : version.value();
  past_kept_ = kept_version_ < version.value();
}

void Completion::OnEnded(Version version) {
  if (trained_unix_ms_ == 0) trained_rounds_ = version.value();
}

Target Completion::NextTarget() const {
  Target target;
  target.set_version(past_kept_ ? trained_rounds_ : kept_version_);  // until the servers have gone back
  if (!past_kept_ && NeedsTest()) target.set_evaluate(EVALUATION_SET_TEST);
  return target;
}

CheckpointNeeds Completion::Needs() const { return {CheckpointNeeds::Phase::kTesting, {kept(), last()}}; }

bool Completion::IsBeingCommitted() const {
  return checkpoints_->IsBeingCommitted(kept(), /*waiting=*/true) ||
         checkpoints_->IsBeingCommitted(last(), /*waiting=*/true);
}

bool Completion::NeedsTest() const { return job_.plan().test_examples() > 0 && !evaluations_.IsTested(); }

// ---- the result is read ----

Completion::Reading Completion::OnRead(absl::Time now, const absl::StatusOr<std::string>& parameters_sha256,
                                       const JobResult& totals) {
  reading_ = false;
  if (!parameters_sha256.ok()) return OnUnread(now, parameters_sha256.status());
  const StoredCheckpoint* const checkpoint = checkpoints_->Find(kept());
  if (checkpoint == nullptr) return {};  // lost while it was read: Advance chooses another one
  has_result_ = true;
  result_ = totals;
  result_.set_version(kept_version_);
  result_.set_parameters_sha256(*parameters_sha256);
  result_.set_checkpoint(checkpoint->directory());
  result_.set_rounds(trained_rounds_);
  result_.set_stopped_early(stopped_early_);
  return {true};
}

Completion::Reading Completion::OnUnread(absl::Time now, const absl::Status& status) {
  if (IsCheckpointDamage(status)) {  // it is trained again
    trouble_ = Trouble();
    return {false, std::nullopt, status};
  }
  const std::string error = absl::StrCat("the result can't be read: ", status.message());
  if (trouble_.failures == 0) trouble_.since = now;
  if (std::exchange(trouble_.error, error) != error)
    context_.history->Message(now, error, LogLine::Level::kError);
  trouble_.retry_at = now + context_.options.PauseAfter(trouble_.failures++);
  const bool goes_on = IsStorageTrouble(status) ? now - trouble_.since < context_.options.storage_patience
                                                : trouble_.failures < kMaxAttempts;
  if (goes_on) return {};
  if (!IsUnreadable(status)) return {false, error};
  trouble_ = Trouble();
  return {false, std::nullopt, absl::UnknownError(absl::StrCat(status.message(), " (its files are kept)"))};
}

// ---- steps ----

Completion::Step Completion::Advance(absl::Time now, Version restore, bool restore_wanted) {
  const StoredCheckpoint* const checkpoint = checkpoints_->Find(kept());
  if (checkpoint == nullptr) return WaitForResult(now, restore, restore_wanted);
  // Once the servers have gone back, nobody can write the last version any more.
  if (past_kept_ && checkpoints_->Find(last()) == nullptr && checkpoints_->FindFailure(last()) == nullptr)
    return WaitForLast(now);
  if (NeedsTest())
    return Waits(absl::StrCat("version ", kept_version_, " is evaluated on the test examples"), past_kept_);
  if (reading_) return {};
  if (HasTrouble() && now < trouble_.retry_at)
    return Waits(absl::StrCat(trouble_.error, "; it will be retried"));
  reading_ = true;
  context_.out->Do(ComputeResult{JobId(job_.job()), kept(), checkpoint->directory()});
  return Waits("the result is being read");
}

std::string Completion::WithTrouble(const std::string& reason) const {
  const std::string& trouble = checkpoints_->write_trouble();
  return absl::StrCat(reason, trouble.empty() ? "" : "; ", trouble);
}

Completion::Step Completion::WaitForLast(absl::Time now) {
  if (checkpoints_->IsHopeless(now, last(), trained_)) {
    checkpoints_->GiveUp(now, last(), Needs());
    return {};
  }
  return Waits(WithTrouble(
      absl::StrCat("the checkpoint of version ", trained_rounds_, ", the last, is being written")));
}

bool Completion::MayCome(Version restore) const {
  if (checkpoints_->IsBeingCommitted(kept(), /*waiting=*/true)) return true;
  if (checkpoints_->FindFailure(kept()) != nullptr || restore >= kept()) return false;
  // Servers write and report versions in order.
  return !past_kept_ || checkpoints_->Find(last()) == nullptr;
}

Completion::Step Completion::WaitForResult(absl::Time now, Version restore, bool restore_wanted) {
  trouble_ = Trouble();  // that was another file's
  const std::string what = absl::StrCat("the checkpoint of version ", kept_version_, ", the result,");
  const std::string reason = WithTrouble(absl::StrCat(what, " is being written"));
  const FailedWrite* const failed = checkpoints_->FindFailure(kept());
  if (failed != nullptr && failed->kind() == FailedWrite::NOT_FINITE)
    return Fails(absl::StrCat("version ", kept_version_, ", the result: ", failed->error()));
  if (checkpoints_->IsHopeless(now, kept(), trained_))  // nor could it be after more rounds
    return Fails(absl::StrCat(what, " could not be written: ", checkpoints_->write_trouble()));
  if (MayCome(restore) || restore_wanted) return Waits(reason);
  if (!IsCheckpointDue(job_.spec(), LengthOf(job_.plan()), kept()))
    return Fails(
        absl::StrCat(what, " is lost: an earlier job wrote it, of another length or with other evaluations"));
  ++rewrites_;
  const bool not_written = failed != nullptr && failed->kind() == FailedWrite::NOT_WRITTEN;
  if (rewrites_ >= (not_written ? kMaxFailedResults : kMaxAttempts)) {
    return Fails(absl::StrCat(what, failed == nullptr
                                        ? " was lost repeatedly"
                                        : absl::StrCat(" could not be written: ", failed->error())));
  }
  context_.history->Warn(now, absl::StrCat(what, " is missing: its last rounds are trained again"));
  return Waits(reason, /*wants_restore=*/true);
}

}  // namespace shoal::scheduler
