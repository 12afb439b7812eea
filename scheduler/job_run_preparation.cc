// Who takes part in a job: the plan is derived by one worker, then offered to all.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/job_plan_check.h"
#include "scheduler/job_run.h"

namespace shoal::scheduler {
namespace {

std::string Count(uint64_t n, const char* what) { return absl::StrCat(n, " ", what, n == 1 ? "" : "s"); }

}  // namespace

void JobRun::OnPrepared(absl::Time now, const Member& member, const JobPrepared& report) {
  NodeState& node = nodes_[member.id];
  if (report.has_plan() && member.is_worker()) {
    if (!has_plan()) {
      const absl::Status checked = CheckPlan(definition_.spec(), report.plan());
      if (!checked.ok()) {
        JobRefused refused;
        refused.set_reason(std::string(checked.message()));
        return OnRefused(now, member, refused);
      }
      *definition_.mutable_plan() = report.plan();
      out_->Save(kJobTable, RecordKey(definition_.job()), definition_);
      const JobPlan& plan = report.plan();
      Message(now, absl::StrCat(member.name, " has read the data: ", plan.train_examples(), " training, ",
                                plan.validation_examples(), " validation and ", plan.test_examples(),
                                " test examples; ", plan.rounds(), " rounds"));
      state_.set_deriver(0);
    } else if (report.plan().SerializeAsString() != definition_.plan().SerializeAsString()) {
      node.offered = false;  // it derived another one in the meantime
      node.prepared = false;
      return;
    }
  }
  if (!has_plan()) return;
  node.prepared = true;
  node.refused.clear();
  node.refusals = 0;
}

void JobRun::OnRefused(absl::Time now, const Member& member, const JobRefused& report) {
  NodeState& node = nodes_[member.id];
  const bool derived = state_.deriver() == member.id.value();
  const std::string reason = report.reason().empty() ? "no reason given" : report.reason();
  const bool news = node.refused != reason;
  node.refused = reason;
  node.prepared = false;
  node.offered = false;
  const absl::Duration pause = options_.refused_again * (1u << std::min(node.refusals, 20u));
  node.ask_again = now + std::min(pause, options_.refused_again_longest);
  ++node.refusals;
  if (derived) state_.set_deriver(0);
  if (report.fatal()) return End(now, JOB_STATE_FAILED, reason);
  if (!news) return;
  Message(now, absl::StrCat(member.name, " can't take part: ", node.refused), LogLine::Level::kWarning);
}

const Member* JobRun::ChooseDeriver(absl::Time now) {
  const Member* const current = members_.Find(NodeId(state_.deriver()));
  if (current != nullptr && !current->leaving) return current;
  uint32_t refused = 0;
  bool hope = false;
  std::string reason;
  const Member* chosen = nullptr;
  for (const auto& [id, member] : members_.all()) {
    if (!member.is_worker() || !member.connected || member.leaving) continue;
    const NodeState& node = nodes_[id];
    if (node.refusals < kMaxAttempts) hope = true;
    if (node.refusals > 0) reason = node.refused;
    if (node.refusals > 0) ++refused;
    const bool better = chosen == nullptr || node.refusals < nodes_[chosen->id].refusals;
    if (now >= node.ask_again && better) chosen = &member;
  }
  if (hope || refused < std::max(1u, definition_.spec().cluster().min_workers())) return chosen;
  End(now, JOB_STATE_FAILED, reason);
  return nullptr;
}

std::string JobRun::Refusals() const {
  std::string text;
  for (const auto& [id, node] : nodes_) {
    const Member* const member = members_.Find(id);
    if (member != nullptr && !node.refused.empty())
      absl::StrAppend(&text, "; ", member->name, " can't take part: ", node.refused);
  }
  return text;
}

void JobRun::Derive(absl::Time now) {
  const Member* const deriver = ChooseDeriver(now);
  if (ended()) return;
  if (deriver == nullptr) return Explain(absl::StrCat("waits for a worker that reads the data", Refusals()));
  state_.set_deriver(deriver->id.value());
  Explain(absl::StrCat(deriver->name, " reads the data"));
  NodeState& node = nodes_[deriver->id];
  if (!deriver->connected || !TakeOffer(now, &node)) return;
  Directive directive;
  PrepareJob& prepare = *directive.mutable_prepare_job();
  prepare.set_job(definition_.job());
  *prepare.mutable_spec() = definition_.spec();
  prepare.set_derive(true);
  out_->Send(deriver->id, std::move(directive));
}

bool JobRun::TakeOffer(absl::Time now, NodeState* node) {
  if (node->prepared && node->offered) return false;
  if (node->offered && now - node->offered_at < options_.offer_again) return false;
  if (now < node->ask_again) return false;
  node->offered = true;
  node->offered_at = now;
  return true;
}

void JobRun::OfferPlan(absl::Time now) {
  for (const auto& [id, member] : members_.all()) {
    if (!member.connected || member.leaving) continue;
    NodeState& node = nodes_[id];
    if (!TakeOffer(now, &node)) continue;
    Directive directive;
    PrepareJob& prepare = *directive.mutable_prepare_job();
    prepare.set_job(definition_.job());
    *prepare.mutable_spec() = definition_.spec();
    *prepare.mutable_plan() = definition_.plan();
    prepare.set_checkpoint_dir(definition_.checkpoint_dir());
    out_->Send(id, std::move(directive));
  }
}

std::vector<NodeRef> JobRun::Usable(NodeRole role) const {
  std::vector<NodeRef> usable;
  for (const auto& [id, node] : nodes_) {
    const Member* const member = members_.Find(id);
    if (member != nullptr && member->join.role() == role && !member->leaving && node.prepared)
      usable.push_back(member->ref());
  }
  return usable;
}

// Whether the first view may be written: the minimum is there, and who is still preparing was given some
// time.
bool JobRun::Settled(absl::Time now, size_t servers, size_t workers) {
  const ClusterSpec& wants = definition_.spec().cluster();
  if (servers < wants.min_servers() || workers < wants.min_workers()) {
    enough_since_ = absl::InfiniteFuture();
    Explain(absl::StrCat("waits for nodes: ", servers, " of ", Count(wants.min_servers(), "server"), " and ",
                         workers, " of ", Count(wants.min_workers(), "worker"), " are prepared", Refusals()));
    return false;
  }
  enough_since_ = std::min(enough_since_, now);
  const bool all_answered = std::all_of(nodes_.begin(), nodes_.end(), [](const auto& entry) {
    return !entry.second.offered || entry.second.prepared || !entry.second.refused.empty();
  });
  return all_answered || now - enough_since_ >= options_.settle;
}

}  // namespace shoal::scheduler
