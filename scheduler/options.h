// What can be set about a scheduler.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "common/blocks.h"
#include "common/types.h"
#include "proto/scheduler.pb.h"

namespace shoal::scheduler {

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
  };
  // Empty: all that was there is damaged, so the job starts from the initial parameters.
  std::string directory;
  Version version;
  std::string spec_sha256, numerics_text;     // from its manifest, as all of these
  std::string plan_sha256, plan_text;         // empty when it has none (format 1)
  std::vector<EvaluationRecord> evaluations;  // verdicts before `version`
  std::optional<Metric> metric;               // of these
  std::vector<Checkpoint> others;             // of the same training beside it, up to itself
  std::vector<Checkpoint> damaged;            // what would have been taken instead, or beside it
};

}  // namespace shoal::scheduler
