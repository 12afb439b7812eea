// What can be set about a scheduler.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "common/base/types.h"
#include "common/protocol/blocks.h"
#include "proto/scheduler.pb.h"

namespace shoal::scheduler {

// When a node that is alive, but does not get on, loses its work.
struct WatchOptions {
  // For the next sign of progress of one kind of activity.
  struct Limits {
    absl::Duration floor;  // never less than this
    absl::Duration first;  // as long as no such activity was measured
  };
  std::map<ActivityKind, Limits> limits = {
      {ACTIVITY_DERIVE, {absl::Seconds(30), absl::Minutes(2)}},
      {ACTIVITY_PREPARE, {absl::Seconds(60), absl::Minutes(5)}},
      {ACTIVITY_COMPUTE, {absl::Seconds(10), absl::Minutes(2)}},
      {ACTIVITY_EVALUATE, {absl::Seconds(10), absl::Minutes(2)}},
      {ACTIVITY_RESTORE, {absl::Seconds(30), absl::Minutes(2)}},
      {ACTIVITY_UPDATE, {absl::Seconds(10), absl::Minutes(1)}},
      {ACTIVITY_WRITE_CHECKPOINT, {absl::Seconds(30), absl::Minutes(2)}},
  };
  // Between floor and this many times the longest wait that was measured lately.
  double deadline_factor = 8;
  // That many times the longest wait is no more than this.
  absl::Duration longest_deadline = absl::Minutes(10);
  // For the next sign of life of a job of which nobody says why it waits (scheduler/last_resort.h).
  Limits stall = {absl::Seconds(30), absl::Minutes(2)};
  // A node that owed something in such a stall gets no work for so long, if others can do it.
  absl::Duration silent_for = absl::Minutes(5);
  // "Lately": in one to two of these.
  absl::Duration measured_period = absl::Minutes(10);
  // A peer that was not reached for so long is avoided.
  absl::Duration unreachable_after = absl::Seconds(2);
  // What was bad must be well for so long to count as well: twice as long each time, up to the longest; after
  // so long without a relapse as the first time.
  absl::Duration well_first = absl::Seconds(3);
  absl::Duration well_longest = absl::Minutes(5);
  absl::Duration forgive_after = absl::Minutes(30);
};

struct SchedulerOptions {
  // Of the cluster, when its store is new: drawn at random, so that no other has it.
  std::string new_cluster_id;
  // Nodes report at least this often.
  absl::Duration heartbeat = absl::Milliseconds(500);
  // A node that has been silent for so long is taken for dead: frozen, or cut off.
  absl::Duration lease = absl::Seconds(3);
  // So is one whose stream broke so long ago: killed.
  absl::Duration session_grace = absl::Milliseconds(400);
  // When enough nodes are prepared, how long a job waits for the others before its first view.
  absl::Duration settle = absl::Seconds(2);
  // A node that has not answered the offer of a job for so long is sent it again: a directive may be lost
  // with its stream.
  absl::Duration offer_again = absl::Seconds(10);
  // One that has refused a job is asked again after so long, then after twice that, and so on up to the
  // longest: a disk may have room again.
  absl::Duration refused_again = absl::Seconds(1);
  absl::Duration refused_again_longest = absl::Minutes(2);
  // Before the next attempt, after so many failures before the last.
  absl::Duration PauseAfter(uint32_t failures) const {
    return std::min(refused_again * (1u << std::min(failures, 20u)), refused_again_longest);
  }
  // When no worker can read the data of a job, how long to go on asking from the first refusal on.
  absl::Duration derive_patience = absl::Seconds(10);
  // When no checkpoint can be written or read because the disk is full, or its storage not there, how long a
  // job that needs one waits before it fails.
  absl::Duration storage_patience = absl::Minutes(10);
  WatchOptions watch;
  // What has not moved for so long is shown as a stall.
  absl::Duration stall_after = absl::Seconds(2);
  // Live progress is published at most this often.
  absl::Duration progress_every = absl::Milliseconds(250);
  // Checkpoints of jobs that name no folder go to <checkpoint_root>/job-<id>.
  std::string checkpoint_root = "checkpoints";
  // As in CutBlocks; smaller in simulations.
  uint64_t max_block_elements = kMaxBlockElements;
};

// A checkpoint that a new job shall start from, as found on disk.
struct ResumePoint {
  struct Checkpoint {
    Version version;
    std::string directory;
    std::string problem = {};  // why it can't be used
  };
  // Empty: all that was there is damaged, so the job starts from the initial parameters.
  std::string directory;
  Version version;
  std::string spec_sha256, numerics_text;     // from its manifest, as all of these
  std::string plan_sha256, plan_text;         // empty when it has none (format 1)
  std::vector<EvaluationRecord> evaluations;  // verdicts before `version`
  std::optional<Metric> metric;               // of these
  std::vector<Checkpoint> others;             // of the same training beside it, up to itself
  std::vector<Checkpoint> damaged;  // or not readable: what would have been taken instead, or beside it
};

}  // namespace shoal::scheduler
