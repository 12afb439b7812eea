// What was derived from a job's data, when the scheduler has lost it.
#include <optional>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/job/job_print.h"
#include "common/job/plan_text.h"
#include "scheduler/job_run.h"

namespace shoal::scheduler {
namespace {

// Export needs it of a job that has ended.
constexpr char kTokenizer[] = "tokenizer";

}  // namespace

void JobRun::AddNeededArtifacts(std::set<std::string>* sha256) const {
  for (const Artifact& artifact : definition_.plan().artifacts()) {
    if (!ended() || artifact.name() == kTokenizer) sha256->insert(artifact.sha256());
  }
}

void JobRun::OnArtifactLost(absl::Time now, const std::string& sha256) {
  if (ended() || !lost_artifact_.empty()) return;
  for (const Artifact& artifact : definition_.plan().artifacts()) {
    if (artifact.sha256() == sha256) lost_artifact_ = artifact.name();
  }
  if (lost_artifact_.empty()) return;
  state_.set_derivations(state_.derivations() + 1);
  Message(now,
          absl::StrCat("artifact ", lost_artifact_, " (", sha256,
                       ") is gone or damaged at the scheduler: a worker derives it again"),
          LogLine::Level::kError);
}

// One without slots, if there is one: for it to read the data takes no work from the job.
const Member* JobRun::ChooseRederiver(absl::Time now) const {
  const Member* chosen = nullptr;
  std::optional<std::tuple<bool, uint32_t>> least;
  for (const auto& [id, member] : members_.all()) {
    if (!member.is_worker() || !member.connected || member.leaving || watch_.Suspect(id) != nullptr) continue;
    const auto found = nodes_.find(id);
    if (found != nodes_.end() && now < found->second.derive_again) continue;
    const std::tuple<bool, uint32_t> rank = {HasSlots(id),
                                             found == nodes_.end() ? 0 : found->second.refusals};
    if (least && rank >= *least) continue;
    chosen = &member;
    least = rank;
  }
  return chosen;
}

void JobRun::Rederive(absl::Time now) {
  if (lost_artifact_.empty()) return;
  const Member* member = members_.Find(rederiver_);
  if (member == nullptr || member->leaving || watch_.Suspect(rederiver_) != nullptr) {
    member = ChooseRederiver(now);
    rederiver_ = member == nullptr ? NodeId(0) : member->id;
    if (member == nullptr) return;
    nodes_[rederiver_].prepared = false;
    nodes_[rederiver_].offered = false;
    nodes_[rederiver_].ask_again = absl::InfinitePast();
  }
  if (!member->connected || !TakeOffer(now, &nodes_[rederiver_])) return;
  Directive directive;
  PrepareJob& prepare = *directive.mutable_prepare_job();
  prepare.set_job(definition_.job());
  *prepare.mutable_spec() = definition_.spec();
  prepare.set_derive(true);
  prepare.set_derivation(state_.derivations());
  out_->Send(rederiver_, std::move(directive));
}

void JobRun::GiveUpRederiver(absl::Time now) {
  NodeState& node = nodes_[rederiver_];
  node.derive_again = now + PauseAfter(node.derive_refusals++);
  rederiver_ = NodeId(0);
}

bool JobRun::MayBeRederived() const {
  bool none = true;
  for (const auto& [id, member] : members_.all()) {
    if (!member.is_worker() || !member.connected || member.leaving) continue;
    const auto found = nodes_.find(id);
    if (found == nodes_.end() || found->second.derive_refusals < kMaxAttempts) return true;
    none = false;
  }
  return none;
}

void JobRun::OnRederived(absl::Time now, const Member& member, const JobPlan& plan) {
  if (plan.SerializeAsString() != definition_.plan().SerializeAsString()) {
    NodeState& node = nodes_[member.id];
    if (node.refusals + node.failures == 0) node.unable_since = now;
    ++node.refusals;
    GiveUpRederiver(now);
    return Tell(now,
                absl::StrCat(member.name, " has other data than the job and can't derive ", lost_artifact_,
                             " again: ", JobDifferences(PlanText(plan), PlanText(definition_.plan()))));
  }
  Message(now, absl::StrCat(member.name, " has derived ", lost_artifact_, " again"));
  rederiver_ = NodeId(0);
  lost_artifact_.clear();
  RetryServers();
  for (auto& [id, other] : nodes_) {
    other.derive_refusals = 0;
    if (!other.refused.empty()) other.ask_again = absl::InfinitePast();
  }
}

}  // namespace shoal::scheduler
