#include "tools/shoal/prospects.h"

#include <algorithm>
#include <cstdint>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace shoal::tools {
namespace {

// After a refusal the scheduler asks the node again after 1 s, and after another 2 s.
constexpr absl::Duration kRefusedFor = absl::Seconds(8);

constexpr size_t kShownNodes = 4;

// What delays the end of the node: not what it receives, and not an update. "" when nothing does, or when the
// node does not say what it is.
std::string DelayOf(const NodeStatus& node) {
  for (const Activity& activity : node.activities()) {
    if (activity.kind() != ACTIVITY_TRANSFER && activity.kind() != ACTIVITY_UPDATE &&
        !activity.detail().empty())
      return activity.detail();
  }
  return "";
}

std::string Count(int64_t n, const char* what) { return absl::StrCat(n, " ", what, n == 1 ? "" : "s"); }

// "worker-1 refused job 1: <reason>" for each node of the role that has refused.
std::vector<std::string> Refusals(const ClusterStatus& status, NodeRole role, uint64_t job) {
  std::vector<std::string> refusals;
  for (const NodeStatus& node : status.nodes()) {
    if (node.role() == role && absl::StartsWith(node.detail(), absl::StrCat("refused job ", job, ":")))
      refusals.push_back(absl::StrCat(node.node().name(), " ", node.detail()));
  }
  return refusals;
}

}  // namespace

std::string IdleWorkersText(uint32_t workers, uint32_t slots) {
  if (workers <= slots) return "";
  return absl::StrCat("warning: train.slots is ", slots, ", so only ", slots, " of the ", workers,
                      " workers can have work: use fewer, each with more threads");
}

std::string BusyNodesText(const ClusterStatus& status) {
  std::vector<std::string> busy;
  for (const NodeStatus& node : status.nodes()) {
    const std::string delay = DelayOf(node);
    if (delay.empty()) continue;
    busy.push_back(busy.size() == kShownNodes ? "..." : absl::StrCat(node.node().name(), ": ", delay));
    if (busy.size() > kShownNodes) break;
  }
  return absl::StrJoin(busy, "; ");
}

std::string StopText(uint64_t round, uint64_t checkpoint) {
  const std::string where =
      round > 0 ? absl::StrCat("Stopped at round ", round) : "Stopped before the training could begin";
  if (checkpoint > 0)
    return absl::StrCat(where, "; --resume continues from the checkpoint of version ", checkpoint);
  return round > 0 ? absl::StrCat(where, "; --resume starts again, as there is no checkpoint yet") : where;
}

absl::Status Prospects::Check(absl::Time now, const LiveNodes& live, const Job& job,
                              const ClusterStatus& status) {
  const bool started = job.view().view() > 0;
  std::vector<std::string> refusals;
  const auto lacks = [&](NodeRole role, int running, uint32_t wanted, const char* name) -> absl::Status {
    const int64_t needed = started ? 1 : std::max<int64_t>(1, wanted);
    if (running < needed) {
      return absl::UnavailableError(running == 0
                                        ? absl::StrCat("all ", name, "s have ended")
                                        : absl::StrCat("the job needs ", Count(needed, name), ", and only ",
                                                       running, running == 1 ? " runs" : " run"));
    }
    const std::vector<std::string> refused = Refusals(status, role, job.job());
    if (running - static_cast<int64_t>(refused.size()) < needed)
      refusals.insert(refusals.end(), refused.begin(), refused.end());
    return absl::OkStatus();
  };
  absl::Status ended = lacks(NODE_ROLE_SERVER, live.servers, job.spec().cluster().min_servers(), "server");
  ended.Update(lacks(NODE_ROLE_WORKER, live.workers, job.spec().cluster().min_workers(), "worker"));
  if (!ended.ok()) return ended;
  refused_since_ = refusals.empty() ? absl::InfiniteFuture() : std::min(refused_since_, now);
  if (now - refused_since_ < kRefusedFor) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat("the job can't continue, and no other node will join: ", absl::StrJoin(refusals, "; ")));
}

}  // namespace shoal::tools
