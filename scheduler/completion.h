// How a job whose training is over comes to its result: "A job's life", step 4, in docs/protocol.md.
#pragma once

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

// Chooses the version to keep, waits for its checkpoint, or wants it made anew from an older one, which comes
// to the same bits, has it tested, and reads its digest. Of the state it owns the end of training
// (trained_unix_ms, trained_rounds, stopped_early), kept_version, past_kept, rewrites and result.
//
// A restart forgets that the result is being read, and what has kept it from that: it is read again. Pure;
// not thread-safe.
class Completion {
 public:
  // How often servers may be unable to write the result: its last rounds are trained again only once.
  static constexpr uint32_t kMaxFailedResults = 2;

  // What `context` refers to, and the others, must outlive it.
  Completion(const JobContext& context, const JobDefinition& job, const EvaluationLedger& evaluations,
             CheckpointKeeper* checkpoints)
      : context_(context), job_(job), evaluations_(evaluations), checkpoints_(checkpoints) {}

  void Load(const JobStateRecord& record);
  void SaveTo(JobStateRecord* record) const;

  // ---- what has happened ----
  void EndTraining(absl::Time now, Version version);
  // The job ends, wherever it is.
  void OnEnded(Version version);
  // The servers have gone back to a checkpoint that is not beyond the kept version.
  void OnRestored() { past_kept_ = false; }
  struct Reading {
    bool done = false;  // the result is complete
    Failure failure = std::nullopt;
    absl::Status lost = absl::OkStatus();  // else the kept version can't be had, and why
  };
  // The answer to ComputeResult. `totals` of the training.
  Reading OnRead(absl::Time now, const absl::StatusOr<std::string>& parameters_sha256,
                 const JobResult& totals);

  // ---- steps ----
  struct Step {
    StepResult result;
    bool wants_restore = false;
  };
  // What the test, or the result, waits for, and asks for it. `restore`: the current point;
  // `restore_wanted`: another is to come.
  Step Advance(absl::Time now, Version restore, bool restore_wanted);

  // ---- what is known ----
  Version kept() const { return Version(kept_version_); }
  Version last() const { return Version(trained_rounds_); }
  // The servers' and the evaluation's.
  Target NextTarget() const;
  CheckpointNeeds Needs() const;
  bool IsReading() const { return reading_; }
  bool HasTrouble() const { return trouble_.failures > 0; }
  const JobResult* result() const { return has_result_ ? &result_ : nullptr; }

 private:
  // What keeps the result from being read.
  struct Trouble {
    std::string error;  // "": nothing
    uint32_t failures = 0;
    absl::Time since, retry_at;
  };

  Reading OnUnread(absl::Time now, const absl::Status& status);
  bool NeedsTest() const;
  Step WaitForResult(absl::Time now, Version restore, bool restore_wanted);
  Step WaitForLast(absl::Time now);
  // Whether the result's checkpoint, which is not there, is still to come from this restore point.
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
  uint32_t rewrites_ = 0;   // times the job went back because the result's checkpoint was not there
  JobResult result_;
  bool has_result_ = false;

  // ---- what a restart forgets ----
  absl::Time trained_ = absl::InfinitePast();  // training was over, by the clock of this process
  bool reading_ = false;
  Trouble trouble_;
};

}  // namespace shoal::scheduler
