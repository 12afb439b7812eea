// How a job gets its result once training is over: "A job's life", step 4, in docs/protocol.md.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/types.h"
#include "proto/scheduler.pb.h"
#include "scheduler/checkpoint_keeper.h"
#include "scheduler/evaluation_ledger.h"
#include "scheduler/job_context.h"
#include "scheduler/records.pb.h"

namespace shoal::scheduler {

// Chooses the version to keep; waits for its checkpoint, or has it recomputed from an older one, with the
// same bits; has it tested; and reads its digest. It owns these fields of the state: the end of training
// (trained_unix_ms, trained_rounds, stopped_early), kept_version, past_kept, rewrites and result.
//
// A restart forgets that the result is being read, and what prevented it: it is read again. Pure; not
// thread-safe.
class Completion {
 public:
  // The job fails when servers have failed to write the result this many times: its last rounds are trained
  // again only once.
  static constexpr uint32_t kMaxFailedResults = 2;

  // The other arguments, and whatever `context` refers to, must outlive it.
  Completion(const JobContext& context, const JobDefinition& job, const EvaluationLedger& evaluations,
             CheckpointKeeper* checkpoints)
      : context_(context), job_(job), evaluations_(evaluations), checkpoints_(checkpoints) {}

  void Load(const JobStateRecord& record);
  void SaveTo(JobStateRecord* record) const;

  // ---- what has happened ----
  void EndTraining(absl::Time now, Version version);
  // The job ends, whatever its state.
  void OnEnded(Version version);
  // The servers have gone back to a checkpoint no newer than the kept version.
  void OnRestored() { past_kept_ = false; }
  // The scheduler was suspended for that long: nothing was waited for.
  void Awake(absl::Duration asleep) {
    trained_ += asleep;
    trouble_.since += asleep;
    writer_hangs_since_ += asleep;
  }
  // `hangs`: only files are still needed, and a server that is to write them hangs.
  void NoteWriter(absl::Time now, bool hangs) {
    writer_hangs_since_ = hangs ? std::min(writer_hangs_since_, now) : absl::InfiniteFuture();
  }
  struct Reading {
    bool done = false;  // the result is complete
    Failure failure = std::nullopt;
    absl::Status lost = absl::OkStatus();  // not OK: why the kept version can't be obtained
  };
  // The answer to ComputeResult. `totals`: those of the training.
  Reading OnRead(absl::Time now, const absl::StatusOr<std::string>& parameters_sha256,
                 const JobResult& totals);

  // ---- steps ----
  struct Step {
    StepResult result;
    bool wants_restore = false;
  };
  // Takes the next step towards the test or the result, and says what it waits for. `restore`: version of the
  // current restore point; `restore_wanted`: another one is pending.
  Step Advance(absl::Time now, Version restore, bool restore_wanted);

  // ---- what is known ----
  Version kept() const { return Version(kept_version_); }
  Version last() const { return Version(trained_rounds_); }
  // The target for the servers and for the evaluation.
  Target NextTarget() const;
  CheckpointNeeds Needs() const;
  bool IsReading() const { return reading_; }
  bool HasTrouble() const { return trouble_.failures > 0; }
  // Whether a checkpoint that it waits for is complete, and is being committed.
  bool IsBeingCommitted() const;
  // Whether the servers are still waited for to write what is needed: one that hangs may never do.
  bool MayBeWritten(absl::Time now) const {
    return now - writer_hangs_since_ < context_.options.storage_patience;
  }
  const JobResult* result() const { return has_result_ ? &result_ : nullptr; }

 private:
  // What prevents the result from being read.
  struct Trouble {
    std::string error;  // "": nothing
    uint32_t failures = 0;
    absl::Time since, retry_at;
  };

  Reading OnUnread(absl::Time now, const absl::Status& status);
  bool NeedsTest() const;
  Step WaitForResult(absl::Time now, Version restore, bool restore_wanted);
  Step WaitForLast(absl::Time now);
  // Whether the missing checkpoint of the result may still be written from this restore point.
  bool MayCome(Version restore) const;
  std::string WithTrouble(const std::string& reason) const;

  const JobContext context_;
  const JobDefinition& job_;
  const EvaluationLedger& evaluations_;
  CheckpointKeeper* const checkpoints_;
  int64_t trained_unix_ms_ = 0;  // 0: training is not over
  uint64_t trained_rounds_ = 0;
  bool stopped_early_ = false;
  uint64_t kept_version_ = 0;
  bool past_kept_ = false;  // the servers have gone beyond kept_version_
  uint32_t rewrites_ = 0;   // times the job went back because the result's checkpoint was missing
  JobResult result_;
  bool has_result_ = false;

  // ---- what a restart forgets ----
  absl::Time trained_ = absl::InfinitePast();  // when training was over, by this process's clock
  bool reading_ = false;
  Trouble trouble_;
  absl::Time writer_hangs_since_ = absl::InfiniteFuture();
};

}  // namespace shoal::scheduler
