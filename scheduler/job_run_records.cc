// A job's checkpoints and metrics.
#include <algorithm>
#include <cmath>
#include <iterator>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/base/sha256.h"
#include "common/job/job_print.h"
#include "common/job/plan_text.h"
#include "common/protocol/contribution_stats.h"
#include "common/storage/checkpoint.h"
#include "common/storage/file.h"
#include "scheduler/job_run.h"

namespace shoal::scheduler {

void JobRun::OnProgress(absl::Time now, const Member& member, const ShardProgress& report) {
  if (!HoldsShard(member.id, report.shard())) return;
  // Statistics are a function of the job, whatever view they come from: a server that has not heard of the
  // newest one yet says them once, too. Those of a former restore point's servers are not needed: the rounds
  // before its version are recorded, the others are run again.
  AddRounds(now, report);
  if (report.view() < restore_view_ || report.view() > state_.view().view() ||
      report.shard() >= shards_.size() || report.version() > length().rounds || ended())
    return;
  const Version target(CurrentTarget(restore_id()).version());
  if (Version(report.version()) > target) {  // which only verdicts move that are stored first
    return BeginAnotherTraining(now, absl::StrCat(member.name, " has version ", report.version(),
                                                  ", and should wait at ", target.value()));
  }
  ShardState& shard = shards_[report.shard()];
  if (Version(report.version()) > shard.version) moved_ = now;
  shard.version = std::max(shard.version, Version(report.version()));
  ForgiveFailures(report);
  shard.missing.assign(report.missing().begin(), report.missing().end());
  PublishProgress(now);
}

void JobRun::AddRounds(absl::Time now, const ShardProgress& report) {
  if (report.view() > state_.view().view() || report.version() > length().rounds || report.shard() != 0)
    return;
  // One report may have rounds of several log intervals: they took equal shares of the time since the last.
  const absl::Time since = window_.newest();
  const int rounds = report.rounds_size();
  for (int i = 0; i < rounds; ++i) {
    const absl::Time at = since + (now - since) * (static_cast<double>(i + 1) / rounds);
    const uint64_t next = window_.version().value(), round = report.rounds(i).round();
    if (round >= length().rounds || !window_.Add(at, report.rounds(i))) continue;
    if (round > next) TellLostMetrics(now, next, round);
    if (!std::isfinite(report.rounds(i).stats().loss())) {
      return End(now, JOB_STATE_FAILED, absl::StrCat("round ", round, ": the loss is not a finite number"));
    }
    if (IsDue(definition_.spec().log_every(), length(), window_.version())) RecordMetrics(at);
  }
  const uint64_t stored = std::max(state_.recorded_version(), state_.window().version());
  if (window_.version().value() >= stored + kMaxRoundsUnstored) *state_.mutable_window() = window_.Save(now);
}

// The scheduler was away for longer than the servers keep statistics.
void JobRun::TellLostMetrics(absl::Time now, uint64_t from, uint64_t to) {
  Tell(now,
       absl::StrCat("metrics of rounds ", from + 1, " to ", to, " are lost: servers keep those of the last ",
                    kRoundStatisticsKept,
                    " rounds for a scheduler that is away; they lack in the job's examples and tokens too"));
}

// Servers report in each session what they have written; much of it may be committed, and gone again. Each
// writes its versions in order, so that versions are complete in order too.
bool JobRun::WantsCheckpoint(Version version) const {
  if (FindCheckpoint(state_, version) != nullptr) return false;
  if (state_.state() == JOB_STATE_TESTING) {
    return version.value() == state_.kept_version() || version.value() == state_.trained_rounds();
  }
  return state_.checkpoints().empty() || state_.checkpoints().rbegin()->version() < version.value();
}

void JobRun::OnShardWritten(absl::Time now, const Member& member, const ShardWritten& report) {
  const Version version(report.version());
  if (!HoldsShard(member.id, report.shard())) return;
  if (report.restore_id() != restore_id() || !WantsCheckpoint(version)) return;
  if (report.retried()) return NoteWriteTrouble(now, version, member.name, report.error());
  if (!report.error().empty()) {
    return WriteFailed(now, version, report.error(),
                       report.not_finite() ? FailedWrite::NOT_FINITE : FailedWrite::NOT_WRITTEN);
  }
  if (collector_.HasFailed(version)) return DeleteParts(version);  // this one came after the others went
  auto files = collector_.Add(report);
  if (!files) return;
  GiveUpCommits(now, version);
  if (commits_.size() >= kMaxCommits && !MayBeKept(version)) {
    return WriteFailed(now, version,
                       absl::StrCat("given up: ", kMaxCommits, " commits before it are under way"));
  }
  StartCommit(version, *std::move(files));
}

void JobRun::StartCommit(Version version, std::vector<CheckpointShard> files) {
  const std::string& folder = definition_.checkpoint_dir();
  CommitCheckpointFiles commit;
  commit.job = id();
  commit.restore_id = restore_id();
  commit.folder = folder;
  commit.first = std::none_of(
      state_.checkpoints().begin(), state_.checkpoints().end(),
      [&](const StoredCheckpoint& checkpoint) { return DirName(checkpoint.directory()) == folder; });
  commit.manifest = ManifestOf(version, std::move(files));
  commit.history.set_metric(definition_.spec().evaluation().metric());
  for (const EvaluationRecord& evaluation : evaluations_) {
    if (evaluation.set() == EVALUATION_SET_VALIDATION && evaluation.version() < version.value()) {
      *commit.history.add_evaluations() = evaluation;
    }
  }
  commits_[{version, commit.restore_id}].files = commit;
  out_->Do(std::move(commit));
}

bool JobRun::IsBeingCommitted(Version version, bool waiting) const {
  return std::any_of(commits_.begin(), commits_.end(), [&](const auto& commit) {
    return commit.first.first == version && (waiting || !commit.second.waits());
  });
}

void JobRun::RetryCommits(absl::Time now) {
  for (auto& [key, commit] : commits_) {
    if (now < commit.again) continue;
    commit.again = absl::InfiniteFuture();
    out_->Do(commit.files);
  }
}

void JobRun::GiveUpCommits(absl::Time now, Version newer) {
  for (auto at = commits_.begin(); at != commits_.end() && at->first.first < newer;) {
    const Version version = at->first.first;
    const bool useless = at->second.waits() && !MayBeKept(version);
    at = useless ? commits_.erase(at) : std::next(at);
    if (useless) WriteFailed(now, version, "given up for a newer one");
  }
}

CheckpointManifest JobRun::ManifestOf(Version version, std::vector<CheckpointShard> files) const {
  CheckpointManifest manifest;
  manifest.set_job(definition_.job());
  manifest.set_job_name(definition_.spec().name());
  manifest.set_spec_sha256(definition_.spec_sha256());
  manifest.set_numerics_text(NumericsText(definition_.spec()));
  manifest.set_plan_text(PlanText(definition_.plan()));
  manifest.set_plan_sha256(Sha256Hex(manifest.plan_text()));
  manifest.set_version(version.value());
  for (uint64_t size : definition_.plan().group_sizes())
    manifest.set_parameters(manifest.parameters() + size);
  for (CheckpointShard& file : files) *manifest.add_shards() = std::move(file);
  return manifest;
}

void JobRun::OnCheckpointCommitted(absl::Time now, const CommitCheckpointFiles& commit,
                                   const absl::StatusOr<std::string>& checkpoint) {
  files_since_ = absl::InfiniteFuture();
  const absl::Status& status = checkpoint.status();
  const Version version(commit.manifest.version());
  const auto found = commits_.find({version, commit.restore_id});
  // Else what is older may be wanted from the current restore point, and this one is written again.
  const bool current = commit.restore_id == restore_id();
  const bool wanted = current && found != commits_.end();  // else its failure is known
  if (wanted && MayBeWrittenLater(status)) {
    found->second.again = now + PauseAfter(found->second.failures++);
    return NoteWriteTrouble(now, version, "the scheduler", std::string(status.message()));
  }
  if (found != commits_.end()) commits_.erase(found);
  if (!checkpoint.ok()) {
    if (wanted) WriteFailed(now, version, std::string(status.message()));
    return;
  }
  StoredCheckpoint stored;
  stored.set_version(version.value());
  stored.set_directory(*checkpoint);
  if (current) collector_.DropUpTo(version);
  write_error_.clear();
  write_trouble_.clear();
  if (!AddCheckpoint(std::move(stored), &state_)) return;
  // Rounds that need not be run again must not be forgotten either.
  if (window_.examples() > 0 && !ended()) RecordMetrics(now);
  JobEvent event;
  event.set_checkpoint(version.value());
  Emit(now, std::move(event));
}

const FailedWrite* JobRun::FindFailedWrite(Version version) const {
  for (const FailedWrite& failed : state_.failed_writes()) {
    if (failed.version() == version.value()) return &failed;
  }
  return nullptr;
}

// Whether it may matter that the version can't be had: it is the result or the last, or may become it.
bool JobRun::MayBeKept(Version version) const {
  const uint64_t v = version.value();
  if (state_.state() == JOB_STATE_TESTING) return v == state_.kept_version() || v == state_.trained_rounds();
  const EvaluationRecord* const best = BestToKeep();
  return v == length().rounds || v == CurrentTarget(0).version() || (best != nullptr && v == best->version());
}

void JobRun::AddFailedWrite(Version version, const std::string& error, FailedWrite::Kind kind) {
  auto* const all = state_.mutable_failed_writes();
  all->erase(std::remove_if(all->begin(), all->end(),
                            [&](const FailedWrite& failed) { return !MayBeKept(Version(failed.version())); }),
             all->end());
  if (!MayBeKept(version) || FindFailedWrite(version) != nullptr) return;
  FailedWrite& failed = *all->Add();
  failed.set_version(version.value());
  failed.set_error(ToValidUtf8(error));
  failed.set_kind(kind);
}

void JobRun::WriteFailed(absl::Time now, Version version, const std::string& error, FailedWrite::Kind kind) {
  if (ended()) return;
  AddFailedWrite(version, error, kind);
  collector_.Fail(version);
  commits_.erase({version, restore_id()});
  DeleteParts(version);
  TellWriteError(now, absl::StrCat("checkpoint of version ", version.value(), " could not be written: "),
                 error);
}

void JobRun::NoteWriteTrouble(absl::Time now, Version version, const std::string& who,
                              const std::string& error) {
  if (ended()) return;
  if (write_trouble_.empty()) write_trouble_since_ = now;
  write_trouble_ =
      ToValidUtf8(absl::StrCat(who, " can't write the checkpoint of version ", version.value(),
                               " and tries on; see to ", definition_.checkpoint_dir(), ": ", error));
  TellWriteError(now,
                 absl::StrCat("checkpoint of version ", version.value(), " can't be written by ", who,
                              " now, and is tried again; see to ", definition_.checkpoint_dir(), ": "),
                 error);
}

bool JobRun::WritingIsHopeless(absl::Time now, Version version) const {
  if (write_trouble_.empty() || IsBeingCommitted(version, /*waiting=*/false)) return false;
  // As long as it trains a job needs no checkpoint.
  return now - std::max(write_trouble_since_, trained_) >= options_.storage_patience;
}

void JobRun::TellWriteError(absl::Time now, const std::string& text, const std::string& error) {
  // A full disk is told once, not for each version. Numbers are those of versions and shards.
  std::string kind = error;
  kind.erase(std::remove_if(kind.begin(), kind.end(), absl::ascii_isdigit), kind.end());
  if (std::exchange(write_error_, kind) == kind) return;
  Message(now, absl::StrCat(text, error), LogLine::Level::kError);
}

void JobRun::DeleteParts(Version version) {
  out_->Do(DeletePartsOfVersion{definition_.checkpoint_dir(), version, restore_id()});
}

void JobRun::Prune() {
  std::set<Version> needed = {Version(state_.view().restore().version())};
  if (state_.state() == JOB_STATE_TESTING) needed.insert(Version(state_.kept_version()));
  const EvaluationRecord* const best = BestToKeep();
  if (best != nullptr) needed.insert(Version(best->version()));
  // The verdict on the newest may still come, and make it the best.
  for (const StoredCheckpoint& gone : TakeUnneeded(definition_.spec().checkpoint().keep(), needed, &state_)) {
    if (!gone.foreign())
      out_->Do(DeleteCheckpointFiles{definition_.checkpoint_dir(), Version(gone.version())});
  }
}

void JobRun::RecordMetrics(absl::Time now) {
  JobEvent event;
  *event.mutable_metric() = window_.Record(now, length().rounds_per_epoch);
  *state_.mutable_last_metric() = event.metric();
  state_.set_recorded_version(window_.version().value());
  state_.set_examples(state_.examples() + window_.examples());
  state_.set_tokens(state_.tokens() + window_.tokens());
  state_.set_running_ms(state_.running_ms() + absl::ToInt64Milliseconds(ran_));
  ran_ -= absl::Milliseconds(absl::ToInt64Milliseconds(ran_));
  window_.Start(now, window_.version());
  state_.clear_window();
  Emit(now, std::move(event));
}

void JobRun::PublishProgress(absl::Time now) {
  if (window_.examples() == 0 || now - published_ < options_.progress_every) return;
  published_ = now;
  JobEvent event;
  *event.mutable_progress() = window_.Progress(now, length().rounds_per_epoch);
  event.set_unix_ms(absl::ToUnixMillis(now));
  out_->Do(PublishEvent{id(), std::move(event)});
}

// Between two calls the job ran if all its nodes were there. Kept in memory until something is stored anyway,
// so that no store is written for a passing moment.
void JobRun::CountRunningTime(absl::Time now) {
  if (placed_ && state_.state() == JOB_STATE_RUNNING) ran_ += now - counted_;
  counted_ = now;
}

}  // namespace shoal::scheduler
