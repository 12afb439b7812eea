#include "scheduler/roll_call.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "scheduler/view_roles.h"

namespace shoal::scheduler {
namespace {

std::string Count(uint64_t n, const char* what) { return absl::StrCat(n, " ", what, n == 1 ? "" : "s"); }

const char* RoleText(NodeRole role) { return role == NODE_ROLE_SERVER ? "server" : "worker"; }

// Versions that are computed once more make failures forgotten for this many restore points in a row, unless
// the job gets further than ever before. Then a job that only ever repeats itself can be failed.
constexpr uint32_t kMaxProvenInVain = 3 * kMaxAttempts;

constexpr NodeRole kRoles[] = {NODE_ROLE_SERVER, NODE_ROLE_WORKER};

}  // namespace

void RollCall::Load(absl::Time now, const JobStateRecord& record) {
  // Nodes of the view hold the job until their lease says otherwise.
  for (const auto& nodes : {Primaries(record.view()), SlotWorkers(record.view())}) {
    for (const NodeRef& node : nodes) {
      Candidate& candidate = nodes_[NodeId(node.node_id())];
      candidate.prepared = candidate.has_held = true;
    }
  }
  // Who was lost before the restart is not known.
  for (NodeRole role : kRoles) roles_[role].gone = now;
}

// ---- what has happened ----

void RollCall::OnNodeLost(NodeId node) {
  nodes_.erase(node);
  const bool none_left = std::none_of(nodes_.begin(), nodes_.end(),
                                      [](const auto& entry) { return entry.second.failed_restores > 0; });
  if (none_left) first_failed_restore_ = absl::InfiniteFuture();
}

void RollCall::OnPrepared(NodeId node) {
  Candidate& candidate = nodes_[node];
  candidate.prepared = candidate.has_held = true;
  candidate.refused.clear();
  candidate.untold = false;
  candidate.refusals = 0;
}

RollCall::Refusal RollCall::OnRefused(absl::Time now, const Member& member, const JobRefused& report,
                                      bool at_work) {
  Candidate& node = nodes_[member.id];
  const std::string reason = report.reason().empty() ? "no reason given" : report.reason();
  const bool news = node.refused != reason && (node.failures == 0 || node.failure != reason);
  const bool failed = node.prepared && at_work;
  const bool told_before = report.view() > 0 && report.view() == node.failed_view;
  node.refused = reason;
  node.Drop();
  if (!told_before) CountRefusal(now, failed, &node);
  if (failed && report.view() > 0) node.failed_view = report.view();
  if (report.fatal() && !member.is_worker()) return {failed, reason};
  node.untold |= news;
  // An error in spec or data may be about to fail the job, and would be told as its reason.
  if (!report.fatal() || job_.has_plan()) TellRefusals(now);
  return {failed, std::nullopt};
}

void RollCall::TellRefusals(absl::Time now) {
  for (auto& [id, node] : nodes_) {
    const Member* const member = context_.members.Find(id);
    if (member == nullptr || !std::exchange(node.untold, false)) continue;
    context_.history->Warn(now, absl::StrCat(member->name, " can't take part: ", node.refused));
  }
}

void RollCall::CountRefusal(absl::Time now, bool failed, Candidate* node) const {
  if (node->refusals + node->failures == 0) node->unable_since = now;
  node->ask_at = now + context_.options.PauseAfter(std::max(node->refusals, node->failures));
  ++(failed ? node->failures : node->refusals);
  if (failed) node->failure = node->refused;
}

void RollCall::OnPlan() {
  for (auto& [id, node] : nodes_) {
    node.refusals = 0;
    node.refused.clear();
    node.ask_at = absl::InfinitePast();
  }
  for (auto& [role, state] : roles_) {
    const RoleState before = std::exchange(state, RoleState());
    state.serving = before.serving;
    state.gone = before.gone;
  }
}

void RollCall::OnOtherPlan(absl::Time now, NodeId worker) {
  Candidate& node = nodes_[worker];
  if (node.refusals + node.failures == 0) node.unable_since = now;
  ++node.refusals;
}

void RollCall::DropAll() {
  for (auto& [id, node] : nodes_) {
    node.Drop();
    node.failed_view = 0;  // another training may use the same numbers of views
  }
  OnViewBegun();
}

RollCall::RestoreOutcome RollCall::OnNotLoaded(absl::Time now, NodeId server, const std::string& error,
                                               RestoreTrouble trouble) {
  OnDropped(server);
  Candidate& node = nodes_[server];
  node.refused = error;
  node.ask_at = now + context_.options.PauseAfter(node.failed_restores);
  node.trouble = trouble;
  first_failed_restore_ = std::min(first_failed_restore_, now);
  ++node.failed_restores;
  return JudgeRestores(now);
}

RollCall::RestoreOutcome RollCall::JudgeRestores(absl::Time now) const {
  uint32_t failed = 0;
  std::set<RestoreTrouble> troubles;
  for (const auto& [id, member] : context_.members.all()) {
    if (!member.is_server() || member.leaving) continue;
    const Candidate& node = Find(id);
    if (node.failed_restores + node.refusals < kMaxAttempts) {
      if (IsAwaited(now, id, first_failed_restore_)) return RestoreOutcome::kOthersTry;
      continue;
    }
    troubles.insert(node.trouble);
    ++failed;
  }
  // A good server may be about to come back, but not for ever.
  if (failed == 0 ||
      (failed < Minimum(NODE_ROLE_SERVER) && now - first_failed_restore_ < context_.options.storage_patience))
    return RestoreOutcome::kOthersTry;
  const bool storage = troubles.count(RESTORE_TROUBLE_STORAGE) > 0;
  const SchedulerOptions& options = context_.options;
  if (now - first_failed_restore_ < (storage ? options.storage_patience : options.derive_patience))
    return RestoreOutcome::kOthersTry;
  const bool unreadable = !storage && troubles.count(RESTORE_TROUBLE_UNREADABLE) > 0;
  return unreadable ? RestoreOutcome::kAllUnreadable : RestoreOutcome::kAllFailed;
}

void RollCall::OnLoaded(NodeId server) {
  nodes_[server].failed_restores = 0;
  first_failed_restore_ = absl::InfiniteFuture();
}

void RollCall::OnProven(const View& view) {
  const RestoreId from(view.restore().restore_id());
  if (std::exchange(proven_from_, from) != from) ++proven_in_vain_;
  if (proven_in_vain_ > kMaxProvenInVain) return;
  for (auto& [id, node] : nodes_) {
    if (node.failures > 0 && node.prepared && HasSlots(view, id)) node.failures = 0;
  }
  ForgiveLack();
}

void RollCall::OnVersion(Version version) {
  if (version <= furthest_) return;
  furthest_ = version;
  proven_in_vain_ = 0;
  ForgiveLack();
}

void RollCall::OnEvaluated(NodeId node) {
  nodes_[node].failures = 0;
  ForgiveLack();
}

void RollCall::ForgiveLack() {
  for (auto& [role, state] : roles_) state.ForgiveLack();
}

void RollCall::RetryServers() {
  first_failed_restore_ = absl::InfiniteFuture();
  for (auto& [id, node] : nodes_) {
    if (std::exchange(node.failed_restores, 0) > 0) node.ask_at = absl::InfinitePast();
  }
}

void RollCall::RetryAll() {
  RetryServers();
  for (auto& [id, node] : nodes_) {
    if (!node.refused.empty()) node.ask_at = absl::InfinitePast();
  }
}

void RollCall::StartOver() {
  Directive close;
  close.mutable_close_job()->set_job(job_.job());
  for (auto& [id, node] : nodes_) {
    context_.out->Send(id, close);
    node = Candidate();
  }
}

std::set<NodeId> RollCall::Close() {
  std::set<NodeId> former;
  for (const auto& [id, node] : nodes_) former.insert(id);
  nodes_.clear();
  return former;
}

// ---- steps ----

Directive RollCall::Offer() const {
  Directive directive;
  directive.mutable_prepare_job()->set_job(job_.job());
  *directive.mutable_prepare_job()->mutable_spec() = job_.spec();
  return directive;
}

bool RollCall::TakeOffer(absl::Time now, Candidate* node) const {
  if (node->prepared && node->offered) return false;
  if (node->offered && now - node->offered_at < context_.options.offer_again) return false;
  if (now < node->ask_at) return false;
  node->offered = true;
  node->offered_at = now;
  return true;
}

void RollCall::AskToDerive(absl::Time now, const Member& worker, uint32_t derivation) {
  if (!worker.connected || !TakeOffer(now, &nodes_[worker.id])) return;
  Directive offer = Offer();
  offer.mutable_prepare_job()->set_derive(true);
  offer.mutable_prepare_job()->set_derivation(derivation);
  context_.out->Send(worker.id, std::move(offer));
}

void RollCall::MakeDue(NodeId node) {
  OnDropped(node);
  nodes_[node].ask_at = absl::InfinitePast();
}

void RollCall::OfferPlan(absl::Time now, NodeId except) {
  for (const auto& [id, member] : context_.members.all()) {
    if (!member.connected || member.leaving || id == except) continue;
    if (!TakeOffer(now, &nodes_[id])) continue;
    Directive offer = Offer();
    *offer.mutable_prepare_job()->mutable_plan() = job_.plan();
    offer.mutable_prepare_job()->set_checkpoint_dir(job_.checkpoint_dir());
    context_.out->Send(id, std::move(offer));
  }
}

// A node whose session is being renewed counts as long as its lease does. One that is unable may succeed
// while it tries once more; if it hangs then, only if it holds the job. Another suspect that holds, or has
// held, the job does what it can; one that never has may never answer.
bool RollCall::MayServe(const Member& member) const {
  const Candidate& node = Find(member.id);
  const bool suspect = context_.watch.Suspect(member.id) != nullptr;
  if (member.leaving) return false;
  if (node.IsUnable()) return node.prepared || (!suspect && IsTrying(member.id));
  return !suspect || node.prepared || node.has_held;
}

bool RollCall::IsTrying(NodeId id) const {
  const Candidate& node = Find(id);
  if (node.prepared) return true;
  const Heartbeat* const last = context_.watch.Last(id);
  return node.offered && last != nullptr &&
         std::any_of(last->activities().begin(), last->activities().end(), [&](const Activity& activity) {
           return activity.job() == job_.job() &&
                  (activity.kind() == ACTIVITY_DERIVE || activity.kind() == ACTIVITY_PREPARE);
         });
}

bool RollCall::Shows(NodeId node) const {
  const bool by_work = started_ && !context_.options.fixed_nodes;
  return by_work ? Find(node).failures >= kMaxAttempts : Find(node).IsUnable();
}

bool RollCall::Lacks(NodeRole role) const {
  uint32_t may_serve = 0;
  bool some_unable = false;
  for (const auto& [id, member] : context_.members.all()) {
    if (member.join.role() != role || member.leaving) continue;
    may_serve += MayServe(member) ? 1 : 0;
    some_unable |= Find(id).IsUnable();
  }
  if (started_) return some_unable && may_serve == 0;
  return context_.options.fixed_nodes ? some_unable && may_serve < Minimum(role)
                                      : CountShowing(role) >= Minimum(role) && may_serve == 0;
}

absl::Duration RollCall::ComingPatience() const {
  const SchedulerOptions& options = context_.options;
  return options.fixed_nodes ? options.lease + options.settle + options.offer_again
                             : options.storage_patience;
}

void RollCall::Watch(absl::Time now, bool started) {
  started_ = started;
  for (NodeRole role : kRoles) {
    RoleState& state = roles_[role];
    if (!state.lacks) continue;
    state.lacked += now - watched_;
    state.unchanged += now - watched_;
  }
  watched_ = now;
  for (auto& [id, node] : nodes_) {
    const bool holds = node.prepared && context_.watch.Suspect(id) == nullptr;
    node.held_since = holds ? std::min(node.held_since, now) : absl::InfiniteFuture();
  }
  for (NodeRole role : kRoles) WatchRole(now, role, &roles_[role]);
}

bool RollCall::HoldsForLong(const Member& member) const {
  return !member.leaving && watched_ - Find(member.id).held_since >= context_.options.storage_patience;
}

void RollCall::WatchRole(absl::Time now, NodeRole role, RoleState* state) const {
  for (NodeId was : std::exchange(state->serving, {})) {
    const Member* const member = context_.members.Find(was);
    const bool may_recover =
        member == nullptr || member->leaving || context_.watch.Suspect(was) != nullptr || !Shows(was);
    if (may_recover && (member == nullptr || !MayServe(*member))) state->gone = now;
  }
  const std::set<NodeId> unable = std::exchange(state->unable, {});
  for (const auto& [id, member] : context_.members.all()) {
    if (member.join.role() != role) continue;
    if (MayServe(member)) state->serving.insert(id);
    // Without others who come, one that holds the job is not enough to start it.
    if (HoldsForLong(member) && (started_ || !context_.options.fixed_nodes)) state->ForgiveLack();
    if (!Find(id).IsUnable()) continue;
    state->unable.insert(id);
    if (unable.count(id) == 0) state->unchanged = absl::ZeroDuration();
  }
  state->lacks = Lacks(role);
  if (state->lacks && now - state->gone < ComingPatience()) state->may_return = true;
}

void RollCall::Awake(absl::Duration asleep) {
  for (absl::Time* since : {&watched_, &enough_since_, &some_since_, &first_failed_restore_})
    *since += asleep;
  for (auto& [id, node] : nodes_) {
    node.unable_since += asleep;
    node.held_since += asleep;
  }
  for (auto& [role, state] : roles_) state.gone += asleep;
}

std::optional<StepResult> RollCall::NotReady(absl::Time now, bool first) {
  const size_t servers = CountUsable(NODE_ROLE_SERVER), workers = CountUsable(NODE_ROLE_WORKER);
  const ClusterSpec& wants = job_.spec().cluster();
  some_since_ = servers > 0 && workers > 0 ? std::min(some_since_, now) : absl::InfiniteFuture();
  if (servers < wants.min_servers() || workers < wants.min_workers()) {
    enough_since_ = absl::InfiniteFuture();
    // Others have been gone for as long as a lease, so they may not come back at all.
    if (!first && now - some_since_ >= context_.options.lease + context_.options.settle) return std::nullopt;
    return StepResult{std::nullopt,
                      absl::StrCat("waits for nodes: ", servers, " of ", Count(wants.min_servers(), "server"),
                                   " and ", workers, " of ", Count(wants.min_workers(), "worker"),
                                   " are prepared", RefusalsText(), HangingText())};
  }
  enough_since_ = std::min(enough_since_, now);
  const auto& members = context_.members.all();
  const bool all_answered = std::none_of(members.begin(), members.end(), [this](const auto& entry) {
    return !entry.second.leaving && AwaitsAnswer(entry.first);
  });
  if (all_answered || now - enough_since_ >= context_.options.settle) return std::nullopt;
  return StepResult();
}

// ---- what is known of one node ----

const RollCall::Candidate& RollCall::Find(NodeId node) const {
  const auto found = nodes_.find(node);
  return found == nodes_.end() ? unknown_ : found->second;
}

bool RollCall::AwaitsAnswer(NodeId node) const {
  const Candidate& candidate = Find(node);
  return candidate.offered && !candidate.prepared && candidate.refused.empty();
}

bool RollCall::IsSuspect(absl::Time now, NodeId node) const {
  return context_.watch.Suspect(node) != nullptr || now < Find(node).aside_until;
}

bool RollCall::IsAwaited(absl::Time now, NodeId node, absl::Time since) const {
  return context_.watch.Suspect(node) == nullptr || now - since < context_.options.storage_patience;
}

std::string RollCall::TroubleText(NodeId node) const {
  const Candidate& candidate = Find(node);
  if (candidate.trouble == RESTORE_TROUBLE_STORAGE && !candidate.prepared)
    return absl::StrCat("waits to load job ", job_.job(), ": ", candidate.refused);
  if (candidate.refused.empty()) return "";
  return absl::StrCat("refused job ", job_.job(), ": ", candidate.refused);
}

// ---- what is known of all ----

size_t RollCall::CountPrepared() const {
  return std::count_if(nodes_.begin(), nodes_.end(), [](const auto& entry) { return entry.second.prepared; });
}

size_t RollCall::CountUsable(NodeRole role) const {
  const auto& members = context_.members.all();
  return std::count_if(members.begin(), members.end(), [&](const auto& entry) {
    return entry.second.join.role() == role && !entry.second.leaving && IsPrepared(entry.first);
  });
}

uint32_t RollCall::Minimum(NodeRole role) const {
  const ClusterSpec& wants = job_.spec().cluster();
  return role == NODE_ROLE_SERVER ? wants.min_servers() : wants.min_workers();
}

std::vector<PlannedNode> RollCall::PlannedNodes(absl::Time now) const {
  std::vector<PlannedNode> nodes;
  for (const auto& [id, member] : context_.members.all()) {
    PlannedNode& node = nodes.emplace_back();
    node.ref = member.ref();
    node.role = member.join.role();
    node.leaving = member.leaving;
    node.prepared = IsPrepared(id);
    const std::string* const trouble = context_.watch.Suspect(id);
    if (trouble != nullptr) node.trouble = *trouble;
    node.suspect = IsSuspect(now, id);
  }
  return nodes;
}

uint32_t RollCall::CountShowing(NodeRole role) const {
  const auto& members = context_.members.all();
  return std::count_if(members.begin(), members.end(), [&](const auto& entry) {
    return entry.second.join.role() == role && !entry.second.leaving && Shows(entry.first);
  });
}

bool RollCall::NobodyCan(NodeRole role) const {
  const auto found = roles_.find(role);
  if (found == roles_.end() || !found->second.lacks || !Lacks(role)) return false;
  const RoleState& state = found->second;
  const bool shown = CountShowing(role) >= Minimum(role) && !state.may_return;
  return (shown && state.unchanged >= context_.options.derive_patience) || state.lacked >= ComingPatience();
}

Failure RollCall::Hopeless() const {
  for (NodeRole role : kRoles) {
    const size_t usable = CountUsable(role), needed = started_ ? 1 : Minimum(role);
    if (usable >= needed || !NobodyCan(role)) continue;
    const bool failed = std::any_of(nodes_.begin(), nodes_.end(), [&](const auto& entry) {
      const Member* const member = context_.members.Find(entry.first);
      return entry.second.failures > 0 && member != nullptr && member->join.role() == role;
    });
    const std::string who = usable == 0
                                ? absl::StrCat("no ", RoleText(role))
                                : absl::StrCat("only ", usable, " of ", Count(needed, RoleText(role)));
    return absl::StrCat(who, failed ? " can do the work" : " can take part", RefusalsText(role),
                        HangingText());
  }
  return std::nullopt;
}

std::string RollCall::RefusalsText(std::optional<NodeRole> role) const {
  std::string text;
  for (const auto& [id, node] : nodes_) {
    const Member* const member = context_.members.Find(id);
    if (member == nullptr || (role && member->join.role() != *role)) continue;
    if (node.failures > 0) {
      absl::StrAppend(&text, "; ", member->name, " failed ", Count(node.failures, "time"),
                      " in a row: ", node.failure);
      if (node.refusals > 0) absl::StrAppend(&text, ", then refused: ", node.refused);
    } else if (!node.refused.empty()) {
      absl::StrAppend(&text, "; ", member->name, " can't take part: ", node.refused);
    }
  }
  return text;
}

std::string RollCall::HangingText() const {
  std::string text;
  for (const auto& [id, member] : context_.members.all()) {
    const std::string* const trouble = context_.watch.Suspect(id);
    if (trouble != nullptr && !IsPrepared(id)) absl::StrAppend(&text, "; ", member.name, " ", *trouble);
  }
  return text;
}

std::vector<NodeId> RollCall::Debtors() const {
  std::vector<NodeId> unanswered;
  // Nodes of a role that the job lacks, if their answers could be enough; otherwise it waits for more nodes.
  for (NodeRole role : kRoles) {
    size_t there = CountUsable(role);
    if (there >= Minimum(role)) continue;
    for (const auto& [id, member] : context_.members.all()) {
      if (member.join.role() != role || member.leaving || !AwaitsAnswer(id)) continue;
      unanswered.push_back(id);
      ++there;
    }
    if (there < Minimum(role)) return {};
  }
  return unanswered;
}

}  // namespace shoal::scheduler
