// Who holds which shards and slots of a job: "Views" in docs/protocol.md.
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
  bool suspect = false;   // others first
  std::string trouble;    // suspect: why its work does not get on; "": that is not known
};

// All that a view depends on.
struct ViewInputs {
  std::vector<PlannedNode> nodes;           // ascending ids
  std::set<std::pair<NodeId, NodeId>> cut;  // pairs that can't reach each other, in both orders
  std::vector<std::string> cut_texts;       // these, for people
  const View* current = nullptr;            // view 0: none yet
  bool restore_wanted = false;              // the current servers' state is not to be gone on from
  bool renew_wanted = false;                // a new view, even if everybody keeps what they have
  RestorePoint restore;                     // of a first view, or one on other servers
  TrainingId training;
  const JobDefinition* job = nullptr;  // with its plan
  uint64_t max_block_elements = kMaxBlockElements;
};

struct ViewPlan {
  std::optional<View> next;  // nullopt: the current one stays
  bool restores = false;     // `next` has a new restore point
  bool placed = false;       // all work of the view, the next or the current one, has a node
  // Not placed: what the job waits for. Else who does not get on though nobody else can do its work.
  std::string reason;
  std::vector<std::string> left_out;  // whose work goes to others though it is there, and why
};

// The current servers stay as long as they are all prepared and no restore is wanted; who is suspect or cut
// off loses its work when others can do it (scheduler/placement.h). A pure function: the same inputs give the
// same plan.
ViewPlan PlanView(const ViewInputs& inputs);

// Of a training whose first view comes now, behind the `former` one (0: none): no other has it.
TrainingId NewTrainingId(const JobDefinition& job, TrainingId former, absl::Time now);

// "view 3: shards on server-1; slots on worker-1, worker-2; goes back to the checkpoint of version 5".
std::string ViewText(const View& view, bool restores);

}  // namespace shoal::scheduler
