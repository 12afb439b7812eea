// A job's checkpoints: which are written, committed, damaged, and may go.
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

// What the job needs of its checkpoints at a moment.
struct CheckpointNeeds {
  enum class Phase { kTraining, kTesting, kEnded };
  Phase phase = Phase::kTraining;
  std::set<Version> kept;  // the result's and the last version, or what may become one of them
};

// Has the versions committed that the servers have written, as long as somebody may need them; tries again
// what a full disk has kept from it; has checked what servers call damaged; and lets go what is not needed.
// Of the state it owns `checkpoints` and `failed_writes`.
//
// A restart forgets the files that were written and not committed, and who called what damaged: servers
// report both in their new sessions. Pure; not thread-safe.
class CheckpointKeeper {
 public:
  // Versions whose commits are under way, as on a disk that hangs; what comes then is not committed, if it is
  // only to restart from.
  static constexpr size_t kMaxCommits = 8;

  // What `context` refers to, and the others, must outlive it.
  CheckpointKeeper(const JobContext& context, const JobDefinition& job, const EvaluationLedger& evaluations)
      : context_(context), job_(job), evaluations_(evaluations) {}

  void Load(const JobStateRecord& record);
  void SaveTo(JobStateRecord* record) const;
  // An earlier job's that this one goes on from: they are never deleted.
  void AddForeign(const ResumePoint& resume);
  // What is wrong with these; what was found damaged is checked.
  void TellForeign(absl::Time now, const ResumePoint& resume);

  // ---- what has happened ----
  // Servers start from a new restore point, cut into so many shards.
  void BeginRestorePoint(RestoreId restore_id, uint32_t shards);
  // By the server of the shard.
  void OnWritten(absl::Time now, const Member& member, const ShardWritten& report,
                 const CheckpointNeeds& needs);
  // True: the version is there now.
  bool OnCommitted(absl::Time now, const CommitCheckpointFiles& commit,
                   const absl::StatusOr<std::string>& checkpoint, const CheckpointNeeds& needs);
  // The server calls the restore point's checkpoint damaged. One whose memory or mount is broken calls every
  // checkpoint damaged: so the files decide, which are checked.
  void OnAccused(NodeId server, const RestorePoint& restore, const std::string& error);
  // The version's files were checked. Returns the servers that have called it damaged since the current
  // restore point, with what they said: what was said of a former one is void.
  std::map<NodeId, std::string> OnChecked(Version version);
  // It can't be used any more. False: the job did not have it.
  bool Lose(absl::Time now, Version version, const absl::Status& health, const CheckpointNeeds& needs);
  // Nobody waits for `version` any more, which could not be written.
  void GiveUp(absl::Time now, Version version, const CheckpointNeeds& needs) {
    WriteFailed(now, version, write_trouble_, FailedWrite::NOT_WRITTEN, needs);
  }
  // Versions beyond `limit` are not this training's: they are forgotten, with all that is being committed.
  // Their files stay; whoever writes them again finds them in place.
  void ForgetBeyond(Version limit);
  // What the scheduler did with files has ended: WatchFiles measures anew.
  void OnFilesAnswered() { files_since_ = absl::InfiniteFuture(); }

  // ---- steps ----
  // Commits whose time has come are tried again.
  void RetryCommits(absl::Time now);
  // The scheduler has been at the job's files for too long: says so, and fails the job if it can't go on
  // without, as when it `waits`. `reads_result`: that is under way, too.
  Failure WatchFiles(absl::Time now, bool reads_result, bool waits);
  // Deletes what is neither among the newest that the job keeps nor `needed`.
  void Prune(const std::set<Version>& needed);

  // ---- what is known ----
  const StoredCheckpoint* Find(Version version) const;
  // From the newest one that is not beyond `limit`, or from the start.
  RestorePoint NextRestore(Version limit) const;
  std::set<Version> Versions() const;
  // Why the version can't be had from the current restore point; null: it may come.
  const FailedWrite* FindFailure(Version version) const;
  // Under way or, if `waiting` too, to be tried again; from whatever restore point.
  bool IsBeingCommitted(Version version, bool waiting) const;
  bool HasCommits() const { return !commits_.empty(); }
  bool IsChecking() const { return !accused_.empty(); }
  // What keeps checkpoints from being written, for people; "": nothing.
  const std::string& write_trouble() const { return write_trouble_; }
  // Nothing could be written for as long as a job waits that needs `version` since `since`.
  bool IsHopeless(absl::Time now, Version version, absl::Time since) const;

 private:
  // A version whose parts are all written.
  struct Commit {
    CommitCheckpointFiles files;
    uint32_t failures = 0;
    absl::Time retry_at = absl::InfiniteFuture();  // InfiniteFuture: under way

    bool waits() const { return retry_at != absl::InfiniteFuture(); }
  };

  bool Wants(Version version, const CheckpointNeeds& needs) const;
  void StartCommit(Version version, std::vector<CheckpointShard> files);
  CheckpointManifest ManifestOf(Version version, std::vector<CheckpointShard> files) const;
  // Those that wait and serve for nothing any more, as a newer version is to be committed.
  void GiveUpCommits(absl::Time now, Version newer, const CheckpointNeeds& needs);
  // The version can't be written for now (no room, no storage): `who` tries on. Shown until one is.
  void NoteTrouble(absl::Time now, Version version, const std::string& who, const std::string& error);
  void WriteFailed(absl::Time now, Version version, const std::string& error, FailedWrite::Kind kind,
                   const CheckpointNeeds& needs);
  // Kept as long as the version may be the result or the last.
  void AddFailure(Version version, const std::string& error, FailedWrite::Kind kind,
                  const CheckpointNeeds& needs);
  // Of a version that can't become whole: what there is of it fills the disk for nothing.
  void DeleteParts(Version version);
  // Tells an error once, and not for each version.
  void TellError(absl::Time now, const std::string& text, const std::string& error);
  bool IsAtWork() const;
  void ForgetWritten(RestoreId restore_id, uint32_t shards);

  const JobContext context_;
  const JobDefinition& job_;
  const EvaluationLedger& evaluations_;
  std::map<Version, StoredCheckpoint> checkpoints_;
  std::map<Version, FailedWrite> failures_;

  // ---- what a restart forgets ----
  RestoreId restore_id_;
  uint64_t trainings_ = 1;  // that this process has seen: what was begun for a former one counts for nothing
  ShardCollector collector_;
  std::map<RestoredVersion, Commit> commits_;
  std::string write_error_;  // the last, without its numbers, since a checkpoint was written
  std::string write_trouble_;
  absl::Time write_trouble_since_;  // since one was
  // Servers that call a restore point's checkpoint damaged, while it is checked.
  std::map<RestoredVersion, std::map<NodeId, std::string>> accused_;
  absl::Time files_since_ = absl::InfiniteFuture();  // at work, and nothing has come of it
  absl::Time files_told_ = absl::InfinitePast();     // the files_since_ that people were told of
};

}  // namespace shoal::scheduler
