// The scheduler's settings.
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

// When a node that is alive but makes no progress loses its work.
struct WatchOptions {
  // Limits on the time to the next sign of progress, for one kind of activity.
  struct Limits {
    absl::Duration floor;  // the least
    absl::Duration first;  // used until such an activity was measured
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
  // A deadline is this many times the longest recently measured wait, but at least the floor.
  double deadline_factor = 8;
  // Upper limit for deadlines computed that way.
  absl::Duration longest_deadline = absl::Minutes(10);
  // Limits on the time to the next sign of life of a job that waits for no known reason
  // (scheduler/last_resort.h).
  Limits stall = {absl::Seconds(30), absl::Minutes(2)};
  // How long a node that a stalled job was waiting for gets no work if others can do it.
  absl::Duration silent_for = absl::Minutes(5);
  // "Recently" means within the last one to two of these.
  absl::Duration measured_period = absl::Minutes(10);
  // A peer that was not reached for this long is avoided.
  absl::Duration unreachable_after = absl::Seconds(2);
  // After trouble, a node or pair must be well for well_first before it counts as well; twice as long after
  // each relapse, up to well_longest; and well_first again after forgive_after without a relapse.
  absl::Duration well_first = absl::Seconds(3);
  absl::Duration well_longest = absl::Minutes(5);
  absl::Duration forgive_after = absl::Minutes(30);
};

struct SchedulerOptions {
  // The cluster's id when its store is new: drawn at random, so that no other cluster has it.
  std::string new_cluster_id;
  // Nodes report at least this often.
  absl::Duration heartbeat = absl::Milliseconds(500);
  // A node that has been silent for this long is considered dead (frozen or cut off).
  absl::Duration lease = absl::Seconds(3);
  // So is a node whose stream broke this long ago and that has not opened another (killed).
  absl::Duration session_grace = absl::Milliseconds(400);
  // How long a job waits for more nodes before its first view, once enough are prepared. When all servers of
  // a view are lost, it waits for enough of them again, but with one server and one worker only for a lease
  // and this.
  absl::Duration settle = absl::Seconds(2);
  // A node that has not answered the offer of a job for this long is sent it again: a directive may be lost
  // with its stream.
  absl::Duration offer_again = absl::Seconds(10);
  // A node that has refused a job is asked again after refused_again, then after twice that, and so on up to
  // refused_again_longest: a disk may have room again.
  absl::Duration refused_again = absl::Seconds(1);
  absl::Duration refused_again_longest = absl::Minutes(2);
  // How long to wait before the next attempt, after `failures` failures before the last one.
  absl::Duration PauseAfter(uint32_t failures) const {
    return std::min(refused_again * (1u << std::min(failures, 20u)), refused_again_longest);
  }
  // When no worker can prepare a job, or do its work, how long to keep asking.
  absl::Duration derive_patience = absl::Seconds(10);
  // No other nodes will come: what those that are there can't do, nobody can.
  bool fixed_nodes = false;
  // When no checkpoint can be written or read because the disk is full or its storage is missing, how long a
  // job that needs one waits before it fails.
  absl::Duration storage_patience = absl::Minutes(10);
  WatchOptions watch;
  // What has made no progress for this long is shown as a stall.
  absl::Duration stall_after = absl::Seconds(2);
  // Live progress is published at most this often.
  absl::Duration progress_every = absl::Milliseconds(250);
  // Checkpoints of jobs that name no folder go to <checkpoint_root>/job-<id>.
  std::string checkpoint_root = "checkpoints";
  // As in CutBlocks; smaller in simulations.
  uint64_t max_block_elements = kMaxBlockElements;
};

// A checkpoint that a new job should start from, as found on disk.
struct ResumePoint {
  struct Checkpoint {
    Version version;
    std::string directory;
    std::string problem = {};  // why it can't be used
  };
  // Empty: everything found is damaged, so the job starts from the initial parameters.
  std::string directory;
  Version version;
  std::string spec_sha256, numerics_text;     // from its manifest, like those below
  std::string plan_sha256, plan_text;         // empty when it has none (format 1)
  std::vector<EvaluationRecord> evaluations;  // verdicts before `version`
  std::optional<Metric> metric;               // the metric of these evaluations
  std::vector<Checkpoint> others;             // of the same training beside it, up to and including itself
  std::vector<Checkpoint> damaged;  // or unreadable: would otherwise have been taken, or be in `others`
};

}  // namespace shoal::scheduler
