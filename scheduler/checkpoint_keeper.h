// A job's checkpoints: which are written, committed, damaged, or may be deleted.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/types.h"
#include "proto/checkpoint.pb.h"
#include "proto/scheduler.pb.h"
#include "scheduler/evaluation_ledger.h"
#include "scheduler/job_context.h"
#include "scheduler/records.pb.h"
#include "scheduler/shard_collector.h"

namespace shoal::scheduler {

// What the job currently needs from its checkpoints.
struct CheckpointNeeds {
  enum class Phase { kTraining, kTesting, kEnded };
  Phase phase = Phase::kTraining;
  std::set<Version> kept;  // the result and the last version, or candidates for either
};

// Commits the versions that the servers have written, as long as somebody may need them; retries commits that
// a full disk prevented; checks what servers report as damaged; and deletes what is not needed. It owns
// `checkpoints` and `failed_writes` of the state.
//
// A restart forgets which files were written but not committed, and who reported what as damaged: servers
// report both in their new sessions. Pure; not thread-safe.
class CheckpointKeeper {
 public:
  // Maximum number of commits in progress, as on a disk that hangs; beyond that, a version that is only
  // needed to restart from is not committed.
  static constexpr size_t kMaxCommits = 8;

  // The other arguments, and whatever `context` refers to, must outlive it.
  CheckpointKeeper(const JobContext& context, const JobDefinition& job, const EvaluationLedger& evaluations)
      : context_(context), job_(job), evaluations_(evaluations) {}

  void Load(const JobStateRecord& record);
  void SaveTo(JobStateRecord* record) const;
  // Adds the checkpoints of an earlier job that this one continues; they are never deleted.
  void AddForeign(const ResumePoint& resume);
  // Tells users what is wrong with the earlier job's checkpoints, and checks those found damaged.
  void TellForeign(absl::Time now, const ResumePoint& resume);

  // ---- what has happened ----
  // Servers start from a new restore point, divided into `shards` shards.
  void BeginRestorePoint(RestoreId restore_id, uint32_t shards);
  // Called for reports of the shard's server.
  void OnWritten(absl::Time now, const Member& member, const ShardWritten& report,
                 const CheckpointNeeds& needs);
  // Returns whether the version is available now.
  bool OnCommitted(absl::Time now, const CommitCheckpointFiles& commit,
                   const absl::StatusOr<std::string>& checkpoint, const CheckpointNeeds& needs);
  // The server reports the restore point's checkpoint as damaged. A server with bad memory or a bad mount
  // would report every checkpoint, so the files are checked to decide.
  void OnAccused(NodeId server, const RestorePoint& restore, const std::string& error);
  // The version's files were checked. Returns the servers that have reported it as damaged since the current
  // restore point, with their errors; reports from earlier restore points are void.
  std::map<NodeId, std::string> OnChecked(Version version);
  // The version can no longer be used. Returns false if the job did not have it.
  bool Lose(absl::Time now, Version version, const absl::Status& health, const CheckpointNeeds& needs);
  // Stops waiting for `version`, which could not be written.
  void GiveUp(absl::Time now, Version version, const CheckpointNeeds& needs) {
    WriteFailed(now, version, write_trouble_, FailedWrite::NOT_WRITTEN, needs);
  }
  // Versions beyond `limit` do not belong to this training: forgets them, and all commits in progress. Their
  // files stay and are found in place when the versions are written again.
  void ForgetBeyond(Version limit);
  // The scheduler was suspended for that long: nothing was waited for.
  void Awake(absl::Duration asleep) {
    for (absl::Time* time : {&write_trouble_since_, &files_since_, &files_told_}) *time += asleep;
  }
  // The scheduler's work on files has finished: WatchFiles starts measuring again.
  void OnFilesAnswered() { files_since_ = absl::InfiniteFuture(); }

  // ---- steps ----
  // Retries the commits that are due.
  void RetryCommits(absl::Time now);
  // If the scheduler's work on the job's files has taken too long: reports it, and fails the job if it can't
  // go on without that work, as when it `waits` for it. `reads_result`: reading the result is part of the
  // work in progress.
  Failure WatchFiles(absl::Time now, bool reads_result, bool waits);
  // Deletes what is neither among the newest checkpoints that the job keeps nor in `needed`.
  void Prune(const std::set<Version>& needed);

  // ---- what is known ----
  const StoredCheckpoint* Find(Version version) const;
  // The newest checkpoint that is not beyond `limit`, or else the start.
  RestorePoint NextRestore(Version limit) const;
  std::set<Version> Versions() const;
  // Those in the job's own folder, under the names that versions have there.
  std::set<Version> OwnVersions() const;
  // Whether there is a checkpoint, or a commit in progress may still make one.
  bool HasAny() const { return !checkpoints_.empty() || IsCommitting(); }
  // Why the version can't be obtained from the current restore point; null: it still may be.
  const FailedWrite* FindFailure(Version version) const;
  // Whether a commit is in progress or, if `waiting`, waits to be retried; from any restore point.
  bool IsBeingCommitted(Version version, bool waiting) const;
  bool HasCommits() const { return !commits_.empty(); }
  bool IsChecking() const { return !accused_.empty(); }
  // What prevents checkpoints from being written, as text for users; "": nothing.
  const std::string& write_trouble() const { return write_trouble_; }
  // Whether writing has failed for at least options.storage_patience, for a job that has needed `version`
  // since `since`.
  bool IsHopeless(absl::Time now, Version version, absl::Time since) const;

 private:
  // A version all of whose parts are written.
  struct Commit {
    CommitCheckpointFiles files;
    uint32_t failures = 0;
    absl::Time retry_at = absl::InfiniteFuture();  // InfiniteFuture: in progress

    bool waits() const { return retry_at != absl::InfiniteFuture(); }
  };

  bool Wants(Version version, const CheckpointNeeds& needs) const;
  void StartCommit(Version version, std::vector<CheckpointShard> files);
  CheckpointManifest ManifestOf(Version version, std::vector<CheckpointShard> files) const;
  // Drops the waiting commits that are no longer useful because a newer version is to be committed.
  void GiveUpCommits(absl::Time now, Version newer, const CheckpointNeeds& needs);
  // The version can't be written for now (disk full, storage missing); `who` keeps retrying. Shown until a
  // checkpoint is written.
  void NoteTrouble(absl::Time now, Version version, const std::string& who, const std::string& error);
  void WriteFailed(absl::Time now, Version version, const std::string& error, FailedWrite::Kind kind,
                   const CheckpointNeeds& needs);
  // The record is kept as long as the version may be the result or the last one.
  void AddFailure(Version version, const std::string& error, FailedWrite::Kind kind,
                  const CheckpointNeeds& needs);
  // Deletes what was written of a version that can't be completed, which only wastes disk space.
  void DeleteParts(Version version);
  // Reports an error once, not again for each version.
  void TellError(absl::Time now, const std::string& text, const std::string& error);
  bool IsCommitting() const;
  bool IsAtWork() const { return IsChecking() || IsCommitting(); }
  void ForgetWritten(RestoreId restore_id, uint32_t shards);

  const JobContext context_;
  const JobDefinition& job_;
  const EvaluationLedger& evaluations_;
  std::map<Version, StoredCheckpoint> checkpoints_;
  std::map<Version, FailedWrite> failures_;

  // ---- what a restart forgets ----
  RestoreId restore_id_;
  uint64_t trainings_ = 1;  // seen by this process; work begun for an earlier one is ignored
  ShardCollector collector_;
  std::map<RestoredVersion, Commit> commits_;
  std::string write_error_;  // the last error since a checkpoint was written, without its numbers
  std::string write_trouble_;
  absl::Time write_trouble_since_;  // when the trouble began
  // Servers that report a restore point's checkpoint as damaged, while it is being checked.
  std::map<RestoredVersion, std::map<NodeId, std::string>> accused_;
  absl::Time files_since_ = absl::InfiniteFuture();  // since when work is in progress without a result
  absl::Time files_told_ = absl::InfinitePast();     // the files_since_ that users were told about
};

}  // namespace shoal::scheduler
