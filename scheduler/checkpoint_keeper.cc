#include "scheduler/checkpoint_keeper.h"

#include <algorithm>
#include <iterator>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/sha256.h"
#include "common/base/utf8.h"
#include "common/job/job_print.h"
#include "common/job/plan_text.h"
#include "common/storage/checkpoint.h"
#include "common/storage/file.h"

namespace shoal::scheduler {

void CheckpointKeeper::Load(const JobStateRecord& record) {
  for (const StoredCheckpoint& stored : record.checkpoints())
    checkpoints_[Version(stored.version())] = stored;
  for (const FailedWrite& failed : record.failed_writes()) failures_[Version(failed.version())] = failed;
  ForgetWritten(RestoreId(record.view().restore().restore_id()), record.view().shards_size());
}

void CheckpointKeeper::SaveTo(JobStateRecord* record) const {
  for (const auto& [version, stored] : checkpoints_) *record->add_checkpoints() = stored;
  for (const auto& [version, failed] : failures_) *record->add_failed_writes() = failed;
}

void CheckpointKeeper::AddForeign(const ResumePoint& resume) {
  for (const ResumePoint::Checkpoint& checkpoint : resume.others) {
    StoredCheckpoint stored;
    stored.set_version(checkpoint.version.value());
    stored.set_directory(checkpoint.directory);
    stored.set_foreign(true);
    checkpoints_.emplace(checkpoint.version, std::move(stored));
  }
}

void CheckpointKeeper::TellForeign(absl::Time now, const ResumePoint& resume) {
  for (const ResumePoint::Checkpoint& damaged : resume.damaged) {
    context_.out->Do(CheckCheckpointFiles{JobId(job_.job()), damaged.version, damaged.directory});
    context_.history->Warn(now, absl::StrCat("the job continues without the checkpoint ", damaged.directory,
                                             ": ", damaged.problem));
  }
  if (resume.directory.empty()) {
    context_.history->Warn(now, "no intact checkpoint is left: the job starts from the initial parameters");
  } else if (resume.plan_sha256.empty()) {
    context_.history->Warn(now, absl::StrCat(resume.directory,
                                             " has format 1 and does not say what data it was trained on, "
                                             "so the data can't be checked against this job's"));
  }
}

void CheckpointKeeper::BeginRestorePoint(RestoreId restore_id, uint32_t shards) {
  failures_.clear();
  ForgetWritten(restore_id, shards);
  // Queued behind the commits in progress of earlier restore points. Whatever is written later is deleted at
  // the next restore point, or at the job's end.
  context_.out->Do(DeletePartialFiles{job_.checkpoint_dir(), restore_id});
}

void CheckpointKeeper::ForgetWritten(RestoreId restore_id, uint32_t shards) {
  restore_id_ = restore_id;
  collector_.Reset(restore_id, shards);
  // Drops waiting commits: their versions will be run and written again.
  for (auto at = commits_.begin(); at != commits_.end();)
    at = at->second.waits() ? commits_.erase(at) : std::next(at);
  write_trouble_.clear();
}

void CheckpointKeeper::ForgetBeyond(Version limit) {
  checkpoints_.erase(checkpoints_.upper_bound(limit), checkpoints_.end());
  commits_.clear();
  ++trainings_;
  ForgetWritten(restore_id_, 0);
}

// ---- written and committed ----

// In each session servers report what they have written; much of it may already be committed, or even
// deleted. Each writes its versions in order, so versions are completed in order too.
bool CheckpointKeeper::Wants(Version version, const CheckpointNeeds& needs) const {
  if (Find(version) != nullptr) return false;
  if (needs.phase == CheckpointNeeds::Phase::kTesting) return needs.kept.count(version) > 0;
  return checkpoints_.empty() || checkpoints_.rbegin()->first < version;
}

void CheckpointKeeper::OnWritten(absl::Time now, const Member& member, const ShardWritten& report,
                                 const CheckpointNeeds& needs) {
  const Version version(report.version());
  if (RestoreId(report.restore_id()) != restore_id_ || !Wants(version, needs)) return;
  if (report.retried()) return NoteTrouble(now, version, member.name, report.error());
  if (!report.error().empty()) {
    return WriteFailed(now, version, report.error(),
                       report.not_finite() ? FailedWrite::NOT_FINITE : FailedWrite::NOT_WRITTEN, needs);
  }
  if (collector_.HasFailed(version)) return DeleteParts(version);  // came after the others were deleted
  auto files = collector_.Add(report);
  if (!files) return;
  GiveUpCommits(now, version, needs);
  if (commits_.size() >= kMaxCommits && needs.kept.count(version) == 0) {
    return WriteFailed(now, version,
                       absl::StrCat("dropped: ", kMaxCommits, " earlier commits are still in progress"),
                       FailedWrite::NOT_WRITTEN, needs);
  }
  StartCommit(version, *std::move(files));
}

void CheckpointKeeper::StartCommit(Version version, std::vector<CheckpointShard> files) {
  const std::string& folder = job_.checkpoint_dir();
  CommitCheckpointFiles commit;
  commit.job = JobId(job_.job());
  commit.restore_id = restore_id_;
  commit.training = trainings_;
  commit.folder = folder;
  commit.first = std::none_of(checkpoints_.begin(), checkpoints_.end(),
                              [&](const auto& entry) { return DirName(entry.second.directory()) == folder; });
  commit.manifest = ManifestOf(version, std::move(files));
  commit.history = evaluations_.HistoryBefore(version);
  commits_[{version, commit.restore_id}].files = commit;
  context_.out->Do(std::move(commit));
}

CheckpointManifest CheckpointKeeper::ManifestOf(Version version, std::vector<CheckpointShard> files) const {
  CheckpointManifest manifest;
  manifest.set_job(job_.job());
  manifest.set_job_name(job_.spec().name());
  manifest.set_spec_sha256(job_.spec_sha256());
  manifest.set_numerics_text(NumericsText(job_.spec()));
  manifest.set_plan_text(PlanText(job_.plan()));
  manifest.set_plan_sha256(Sha256Hex(manifest.plan_text()));
  manifest.set_version(version.value());
  for (uint64_t size : job_.plan().group_sizes()) manifest.set_parameters(manifest.parameters() + size);
  for (CheckpointShard& file : files) *manifest.add_shards() = std::move(file);
  return manifest;
}

bool CheckpointKeeper::IsBeingCommitted(Version version, bool waiting) const {
  return std::any_of(commits_.begin(), commits_.end(), [&](const auto& commit) {
    return commit.first.version == version && (waiting || !commit.second.waits());
  });
}

void CheckpointKeeper::RetryCommits(absl::Time now) {
  for (auto& [key, commit] : commits_) {
    if (now < commit.retry_at) continue;
    commit.retry_at = absl::InfiniteFuture();
    context_.out->Do(commit.files);
  }
}

void CheckpointKeeper::GiveUpCommits(absl::Time now, Version newer, const CheckpointNeeds& needs) {
  for (auto at = commits_.begin(); at != commits_.end() && at->first.version < newer;) {
    const Version version = at->first.version;
    const bool useless = at->second.waits() && needs.kept.count(version) == 0;
    at = useless ? commits_.erase(at) : std::next(at);
    if (useless)
      WriteFailed(now, version, "dropped in favor of a newer one", FailedWrite::NOT_WRITTEN, needs);
  }
}

bool CheckpointKeeper::OnCommitted(absl::Time now, const CommitCheckpointFiles& commit,
                                   const absl::StatusOr<std::string>& checkpoint,
                                   const CheckpointNeeds& needs) {
  OnFilesAnswered();
  if (commit.training != trainings_) return false;
  const absl::Status& status = checkpoint.status();
  const Version version(commit.manifest.version());
  const bool ended = needs.phase == CheckpointNeeds::Phase::kEnded;
  const auto found = commits_.find({version, commit.restore_id});
  // If not, older versions may be wanted from the current restore point, and this one will be written again.
  const bool current = commit.restore_id == restore_id_;
  const bool wanted = current && found != commits_.end();  // otherwise its failure is already known
  if (wanted && MayBeWrittenLater(status)) {
    found->second.retry_at = now + context_.options.PauseAfter(found->second.failures++);
    if (!ended) NoteTrouble(now, version, "the scheduler", std::string(status.message()));
    return false;
  }
  if (found != commits_.end()) commits_.erase(found);
  if (!checkpoint.ok()) {
    if (wanted && !ended)
      WriteFailed(now, version, std::string(status.message()), FailedWrite::NOT_WRITTEN, needs);
    return false;
  }
  if (current) collector_.DropUpTo(version);
  write_error_.clear();
  write_trouble_.clear();
  StoredCheckpoint stored;
  stored.set_version(version.value());
  stored.set_directory(*checkpoint);
  return checkpoints_.emplace(version, std::move(stored)).second;
}

// ---- what could not be written ----

void CheckpointKeeper::AddFailure(Version version, const std::string& error, FailedWrite::Kind kind,
                                  const CheckpointNeeds& needs) {
  for (auto at = failures_.begin(); at != failures_.end();)
    at = needs.kept.count(at->first) == 0 ? failures_.erase(at) : std::next(at);
  if (needs.kept.count(version) == 0 || FindFailure(version) != nullptr) return;
  FailedWrite& failed = failures_[version];
  failed.set_version(version.value());
  failed.set_error(ToMessage(error));
  failed.set_kind(kind);
}

void CheckpointKeeper::WriteFailed(absl::Time now, Version version, const std::string& error,
                                   FailedWrite::Kind kind, const CheckpointNeeds& needs) {
  AddFailure(version, error, kind, needs);
  collector_.Fail(version);
  commits_.erase({version, restore_id_});
  DeleteParts(version);
  TellError(now, absl::StrCat("checkpoint of version ", version.value(), " could not be written: "), error);
}

void CheckpointKeeper::NoteTrouble(absl::Time now, Version version, const std::string& who,
                                   const std::string& error) {
  if (write_trouble_.empty()) write_trouble_since_ = now;
  const std::string& folder = job_.checkpoint_dir();
  write_trouble_ = ToMessage(absl::StrCat(who, " can't write the checkpoint of version ", version.value(),
                                          " and keeps retrying; check ", folder, ": ", error));
  TellError(now,
            absl::StrCat("checkpoint of version ", version.value(), " can't be written by ", who,
                         " for now and will be retried; check ", folder, ": "),
            error);
}

bool CheckpointKeeper::IsHopeless(absl::Time now, Version version, absl::Time since) const {
  if (write_trouble_.empty() || IsBeingCommitted(version, /*waiting=*/false)) return false;
  return now - std::max(write_trouble_since_, since) >= context_.options.storage_patience;
}

void CheckpointKeeper::TellError(absl::Time now, const std::string& text, const std::string& error) {
  // A full disk is reported once, not for each version, so numbers (of versions and shards) are ignored.
  std::string kind = error;
  kind.erase(std::remove_if(kind.begin(), kind.end(), absl::ascii_isdigit), kind.end());
  if (std::exchange(write_error_, kind) == kind) return;
  context_.history->Message(now, absl::StrCat(text, error), LogLine::Level::kError);
}

void CheckpointKeeper::DeleteParts(Version version) {
  context_.out->Do(DeletePartsOfVersion{job_.checkpoint_dir(), version, restore_id_});
}

// ---- what may be damaged ----

void CheckpointKeeper::OnAccused(NodeId server, const RestorePoint& restore, const std::string& error) {
  const Version version(restore.version());
  const bool checked = std::any_of(accused_.begin(), accused_.end(),
                                   [&](const auto& entry) { return entry.first.version == version; });
  if (!checked) context_.out->Do(CheckCheckpointFiles{JobId(job_.job()), version, restore.checkpoint()});
  accused_[{version, RestoreId(restore.restore_id())}][server] = error;
}

std::map<NodeId, std::string> CheckpointKeeper::OnChecked(Version version) {
  OnFilesAnswered();
  std::map<NodeId, std::string> accusers;
  for (auto at = accused_.begin(); at != accused_.end();) {
    const bool checked = at->first.version == version;
    if (checked && at->first.restore_id == restore_id_) accusers = at->second;
    at = checked ? accused_.erase(at) : std::next(at);
  }
  return accusers;
}

bool CheckpointKeeper::Lose(absl::Time now, Version version, const absl::Status& health,
                            const CheckpointNeeds& needs) {
  context_.history->Message(now,
                            absl::StrCat("the checkpoint of version ", version.value(),
                                         " can't be used any more: ", health.message()),
                            LogLine::Level::kError);
  if (checkpoints_.erase(version) == 0) return false;
  // Servers that are past this version don't write it again.
  AddFailure(version, std::string(health.message()), FailedWrite::LOST, needs);
  return true;
}

// ---- the scheduler's own work on files ----

bool CheckpointKeeper::IsCommitting() const {
  return std::any_of(commits_.begin(), commits_.end(),
                     [](const auto& commit) { return !commit.second.waits(); });
}

Failure CheckpointKeeper::WatchFiles(absl::Time now, bool reads_result, bool waits) {
  files_since_ = reads_result || IsAtWork() ? std::min(files_since_, now) : absl::InfiniteFuture();
  if (now - files_since_ < context_.options.storage_patience) return std::nullopt;
  const std::string why =
      absl::StrCat("the scheduler has been waiting for its files in ", job_.checkpoint_dir(), " for ",
                   absl::StrFormat("%.1f s", absl::ToDoubleSeconds(now - files_since_)),
                   ": check the storage, or allow more time (--storage-patience-ms)");
  if (waits || IsChecking()) return why;
  if (std::exchange(files_told_, files_since_) != files_since_) context_.history->Warn(now, why);
  return std::nullopt;
}

void CheckpointKeeper::Prune(const std::set<Version>& needed) {
  size_t newest = checkpoints_.size();  // how many checkpoints there are from this one on
  for (auto at = checkpoints_.begin(); at != checkpoints_.end(); --newest) {
    const auto& [version, stored] = *at;
    // An earlier job's checkpoints stay on disk anyway, and one may be the last intact one.
    if (stored.foreign() || newest <= job_.spec().checkpoint().keep() || needed.count(version) > 0) {
      ++at;
      continue;
    }
    context_.out->Do(DeleteCheckpointFiles{job_.checkpoint_dir(), version});
    at = checkpoints_.erase(at);
  }
}

// ---- what is known ----

const StoredCheckpoint* CheckpointKeeper::Find(Version version) const {
  const auto found = checkpoints_.find(version);
  return found == checkpoints_.end() ? nullptr : &found->second;
}

RestorePoint CheckpointKeeper::NextRestore(Version limit) const {
  RestorePoint restore;
  restore.set_restore_id(restore_id_.value() + 1);
  const auto beyond = checkpoints_.upper_bound(limit);
  if (beyond == checkpoints_.begin()) return restore;
  const StoredCheckpoint& newest = std::prev(beyond)->second;
  restore.set_version(newest.version());
  restore.set_checkpoint(newest.directory());
  return restore;
}

std::set<Version> CheckpointKeeper::Versions() const {
  std::set<Version> versions;
  for (const auto& [version, stored] : checkpoints_) versions.insert(version);
  return versions;
}

std::set<Version> CheckpointKeeper::OwnVersions() const {
  std::set<Version> versions;
  for (const auto& [version, stored] : checkpoints_) {
    if (!stored.foreign() || stored.directory() == JoinPath(job_.checkpoint_dir(), CheckpointName(version)))
      versions.insert(version);
  }
  return versions;
}

const FailedWrite* CheckpointKeeper::FindFailure(Version version) const {
  const auto found = failures_.find(version);
  return found == failures_.end() ? nullptr : &found->second;
}

}  // namespace shoal::scheduler
