// Which nodes get which shards and slots of a job: "Views" in docs/protocol.md.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "common/base/types.h"
#include "common/protocol/blocks.h"
#include "proto/scheduler.pb.h"
#include "scheduler/records.pb.h"

namespace shoal::scheduler {

// A member, as the job sees it.
struct PlannedNode {
  NodeRef ref;
  NodeRole role = NODE_ROLE_UNSPECIFIED;
  bool leaving = false;
  bool prepared = false;  // for the job
  bool suspect = false;   // others are preferred
  std::string trouble;    // suspect: why its work makes no progress; "": unknown
};

// Everything that a view depends on.
struct ViewInputs {
  std::vector<PlannedNode> nodes;           // ascending ids
  std::set<std::pair<NodeId, NodeId>> cut;  // pairs that can't reach each other, in both orders
  std::vector<std::string> cut_texts;       // the same, as text for users
  const View* current = nullptr;            // view 0: none yet
  bool restore_wanted = false;              // do not continue from the current servers' state
  bool renew_wanted = false;                // make a new view even if everybody keeps their work
  RestorePoint restore;                     // for a first view, or one on other servers
  TrainingId training;
  const JobDefinition* job = nullptr;  // with its plan
  uint64_t max_block_elements = kMaxBlockElements;
};

struct ViewPlan {
  std::optional<View> next;  // nullopt: the current one stays
  bool restores = false;     // `next` has a new restore point
  bool placed = false;       // all work of the view, the next or the current one, has a node
  // If not placed: what the job waits for. Otherwise: which nodes make no progress while nobody else can do
  // their work.
  std::string reason;
  std::vector<std::string> left_out;  // nodes whose work goes to others although they are present, and why
};

// The current servers stay as long as they are all prepared and no restore is wanted; a node that is suspect
// or cut off loses its work if others can do it (scheduler/placement.h). A pure function: the same inputs
// give the same plan.
ViewPlan PlanView(const ViewInputs& inputs);

// The id of a training whose first view comes now, after training `former` (0: none). No other training has
// it.
TrainingId NewTrainingId(const JobDefinition& job, TrainingId former, absl::Time now);

// "view 3: shards on server-1; slots on worker-1, worker-2; goes back to the checkpoint of version 5".
std::string ViewText(const View& view, bool restores);

}  // namespace shoal::scheduler
