#include "scheduler/preparation.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/sha256.h"
#include "common/job/job_plan_check.h"
#include "common/job/job_print.h"
#include "common/job/plan_text.h"
#include "common/protocol/same_message.h"
#include "scheduler/view_roles.h"

namespace shoal::scheduler {
namespace {

// The artifact that export needs of a job that has ended.
constexpr char kTokenizer[] = "tokenizer";

std::string Count(uint64_t n, const char* what) { return absl::StrCat(n, " ", what, n == 1 ? "" : "s"); }

const char* RoleText(NodeRole role) { return role == NODE_ROLE_SERVER ? "server" : "worker"; }

}  // namespace

Preparation::Preparation(const JobContext& context, JobDefinition definition)
    : context_(context), definition_(std::move(definition)) {}

void Preparation::SaveDefinition() {
  context_.out->Save(kJobTable, RecordKey(definition_.job()), definition_);
}

void Preparation::Load(const JobStateRecord& record) {
  deriver_ = NodeId(record.deriver());
  derivations_ = record.derivations();
  // Nodes of the view hold the job until their lease says otherwise.
  for (const NodeRef& node : Primaries(record.view())) nodes_[NodeId(node.node_id())].prepared = true;
  for (const NodeRef& node : SlotWorkers(record.view())) nodes_[NodeId(node.node_id())].prepared = true;
}

void Preparation::SaveTo(JobStateRecord* record) const {
  record->set_deriver(deriver_.value());
  record->set_derivations(derivations_);
}

// ---- what has happened ----

void Preparation::OnSessionOpened(NodeId node) { nodes_[node].offered = false; }

void Preparation::OnNodeLost(NodeId node) {
  nodes_.erase(node);
  if (deriver_ == node) deriver_ = NodeId(0);
  if (rederiver_ == node) rederiver_ = NodeId(0);
}

void Preparation::DropAll() {
  for (auto& [id, node] : nodes_) OnDropped(id);
  enough_since_ = absl::InfiniteFuture();
}

void Preparation::OnDropped(NodeId node) { nodes_[node].prepared = nodes_[node].offered = false; }

std::set<NodeId> Preparation::Close() {
  deriver_ = NodeId(0);
  std::set<NodeId> former;
  for (const auto& [id, node] : nodes_) former.insert(id);
  nodes_.clear();
  return former;
}

Failure Preparation::OnPrepared(absl::Time now, const Member& member, const JobPrepared& report) {
  Candidate& node = nodes_[member.id];
  if (report.has_plan() && member.id == rederiver_) OnRederived(now, member, report.plan());
  if (report.has_plan() && member.is_worker()) {
    if (!has_plan()) {
      absl::Status checked = CheckPlan(definition_.spec(), report.plan());
      JobRefused refused;
      if (checked.ok()) {
        checked = CheckOrigin(report.plan());
        refused.set_fatal(!checked.ok());
      }
      refused.set_reason(std::string(checked.message()));
      if (!checked.ok()) return OnRefused(now, member, refused, /*at_work=*/false).failure;
      TakePlan(now, member, report.plan());
    } else if (!SameMessage(report.plan(), definition_.plan())) {
      OnDropped(member.id);  // it has derived another one in the meantime
      return std::nullopt;
    }
  }
  if (!has_plan()) return std::nullopt;
  node.prepared = true;
  if (report.has_data() || report.has_plan()) node.vote = 1;
  node.refused.clear();
  node.refusals = 0;
  return std::nullopt;
}

void Preparation::TakePlan(absl::Time now, const Member& member, const JobPlan& plan) {
  *definition_.mutable_plan() = plan;
  SaveDefinition();
  deriver_ = NodeId(0);
  for (auto& [id, node] : nodes_) node.vote = 0;
  context_.history->Message(
      now, absl::StrCat(member.name, " has read the data: ", plan.train_examples(), " training, ",
                        plan.validation_examples(), " validation and ", plan.test_examples(),
                        " test examples; ", plan.rounds(), " rounds"));
}

absl::Status Preparation::CheckOrigin(const JobPlan& plan) const {
  if (definition_.origin_plan_sha256().empty()) return absl::OkStatus();
  const std::string text = PlanText(plan);
  const std::string sha256 = Sha256Hex(text);
  if (sha256 == definition_.origin_plan_sha256()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("resume_from: ", definition_.origin_checkpoint(),
                   " was trained on different data than this job's (", definition_.origin_plan_sha256(),
                   ", this job's: ", sha256, "): ", JobDifferences(text, definition_.origin_plan_text())));
}

Preparation::Refusal Preparation::OnRefused(absl::Time now, const Member& member, const JobRefused& report,
                                            bool at_work) {
  Candidate& node = nodes_[member.id];
  const bool derived = deriver_ == member.id;
  const bool rederived_in_vain =
      rederiver_ == member.id;  // what one machine finds at this point is not the job's fault
  if (rederived_in_vain) GiveUpRederiver(now);
  const std::string reason = report.reason().empty() ? "no reason given" : report.reason();
  const bool news = node.refused != reason && (node.failures == 0 || node.failure != reason);
  const bool failed = node.prepared && at_work;
  CountRefusal(now, reason, failed, &node);
  if (derived) deriver_ = NodeId(0);
  const bool fatal = report.fatal() && !rederived_in_vain;
  if (fatal && !member.is_worker()) return {failed, reason};
  node.data_error = fatal ? reason : "";
  if (report.differs()) node.vote = -1;
  if (news) context_.history->Warn(now, absl::StrCat(member.name, " can't take part: ", reason));
  if (failed && NobodyCan(now, NODE_ROLE_WORKER))
    return {failed, absl::StrCat("no worker can do the work", Refusals(NODE_ROLE_WORKER))};
  return {failed, std::nullopt};
}

void Preparation::CountRefusal(absl::Time now, const std::string& reason, bool failed,
                               Candidate* node) const {
  const bool repeated = node->failures > 0 && !node->prepared && !node->offered;  // in a new session
  node->refused = reason;
  node->prepared = false;
  node->offered = false;
  if (repeated) return;
  if (node->refusals + node->failures == 0) node->unable_since = now;
  node->ask_at = now + context_.options.PauseAfter(std::max(node->refusals, node->failures));
  ++(failed ? node->failures : node->refusals);
  if (failed) node->failure = reason;
}

void Preparation::ForgiveFailures(const View& view) {
  for (auto& [id, node] : nodes_) {
    if (node.failures > 0 && node.prepared && HasSlots(view, id)) node.failures = 0;
  }
}

Preparation::RestoreOutcome Preparation::OnNotLoaded(absl::Time now, NodeId server, const std::string& error,
                                                     RestoreTrouble trouble) {
  Candidate& node = nodes_[server];
  node.prepared = false;
  node.offered = false;
  node.refused = error;
  node.ask_at = now + context_.options.PauseAfter(node.failed_restores);
  node.trouble = trouble;
  first_failed_restore_ = std::min(first_failed_restore_, now);
  ++node.failed_restores;
  uint32_t failed = 0;
  std::set<RestoreTrouble> troubles;
  for (const auto& [id, member] : context_.members.all()) {
    if (!member.is_server() || member.leaving) continue;
    const Candidate& other = nodes_[id];
    if (other.failed_restores + other.refusals < kMaxAttempts) {
      if (IsAwaited(now, id, first_failed_restore_)) return RestoreOutcome::kOthersTry;
      continue;
    }
    troubles.insert(other.trouble);
    ++failed;
  }
  // A good server, or what the others lack, may be about to come back.
  if (!lost_artifact_.empty() && MayBeRederived()) return RestoreOutcome::kOthersTry;
  if (failed < Minimum(NODE_ROLE_SERVER)) return RestoreOutcome::kOthersTry;
  const bool storage = troubles.count(RESTORE_TROUBLE_STORAGE) > 0;
  const SchedulerOptions& options = context_.options;
  if (now - first_failed_restore_ < (storage ? options.storage_patience : options.derive_patience))
    return RestoreOutcome::kOthersTry;
  const bool unreadable = !storage && troubles.count(RESTORE_TROUBLE_UNREADABLE) > 0;
  return unreadable ? RestoreOutcome::kAllUnreadable : RestoreOutcome::kAllFailed;
}

void Preparation::OnLoaded(NodeId server) {
  nodes_[server].failed_restores = 0;
  first_failed_restore_ = absl::InfiniteFuture();
}

void Preparation::RetryServers() {
  first_failed_restore_ = absl::InfiniteFuture();
  for (auto& [id, node] : nodes_) {
    if (std::exchange(node.failed_restores, 0) > 0) node.ask_at = absl::InfinitePast();
  }
}

// ---- the plan ----

bool Preparation::IsAwaited(absl::Time now, NodeId node, absl::Time since) const {
  return context_.watch.Suspect(node) == nullptr || now - since < context_.options.storage_patience;
}

std::string Preparation::DataError(absl::Time now) const {
  absl::Time since = absl::InfiniteFuture();
  for (const auto& [id, node] : nodes_) {
    if (!node.data_error.empty()) since = std::min(since, node.unable_since);
  }
  std::string error;
  std::set<std::string> machines;  // those that found one
  bool may_ask = false, patience_over = false;
  for (const auto& [id, member] : context_.members.all()) {
    if (!member.is_worker() || !member.connected || member.leaving) continue;
    const Candidate* const node = Find(id);
    const bool asked = node != nullptr && node->refusals > 0;
    may_ask |= !asked && IsAwaited(now, id, since);
    if (!asked || node->data_error.empty()) continue;
    if (error.empty()) error = node->data_error;
    machines.insert(member.join.machine().empty() ? member.name : member.join.machine());
    patience_over |= now - node->unable_since >= context_.options.derive_patience;
  }
  return machines.size() > 1 || (patience_over && !may_ask) ? error : "";
}

void Preparation::DeriveAnewByMajority(absl::Time now) {
  if (derived_anew_ || !has_plan()) return;
  int agree = 0;
  std::vector<std::pair<NodeId, std::string>> differ;
  for (const auto& [id, node] : nodes_) {
    agree += node.vote > 0;
    if (node.vote < 0) differ.emplace_back(id, node.refused);
  }
  if (static_cast<int>(differ.size()) <= agree) return;
  const Member* const deriver = context_.members.Find(differ.front().first);
  if (deriver == nullptr || !deriver->connected) return;
  derived_anew_ = true;
  context_.history->Intervene(
      now, absl::StrCat(differ.size(), " workers have different data than the plan was made from, ", agree,
                        " the same: ", deriver->name, " reads the data again (", differ.front().second, ")"));
  definition_.clear_plan();
  SaveDefinition();
  Directive close;
  close.mutable_close_job()->set_job(definition_.job());
  for (auto& [id, node] : nodes_) {
    context_.out->Send(id, close);  // drops what was prepared for the former plan
    node = Candidate();
  }
  deriver_ = deriver->id;
}

const Member* Preparation::ChooseDeriver(absl::Time now) {
  const Member* const current = context_.members.Find(deriver_);
  const bool there = current != nullptr && !current->leaving;
  if (there && !IsSuspect(now, current->id)) return current;
  const Member* const next = NextDeriver(now);
  if (!there) return next;
  if (next == nullptr) return current;  // nobody else can do it
  const std::string* const stuck = context_.watch.Suspect(current->id);
  context_.history->Intervene(
      now, absl::StrCat(current->name, " ", stuck == nullptr ? "does not answer" : *stuck, ": ", next->name,
                        " reads the data in its place"));
  nodes_[current->id].offered = false;
  return next;
}

// Of the workers that may be asked now, the one that has refused least often; null: none.
const Member* Preparation::NextDeriver(absl::Time now) const {
  const Member* chosen = nullptr;
  uint32_t fewest = 0;
  for (const auto& [id, member] : context_.members.all()) {
    if (!member.is_worker() || !member.connected || member.leaving || IsSuspect(now, id)) continue;
    const Candidate* const node = Find(id);
    const uint32_t refusals = node == nullptr ? 0 : node->refusals;
    if (node != nullptr && now < node->ask_at) continue;
    if (chosen != nullptr && refusals >= fewest) continue;
    chosen = &member;
    fewest = refusals;
  }
  return chosen;
}

StepResult Preparation::Derive(absl::Time now) {
  const std::string data_error = DataError(now);
  if (!data_error.empty()) return {data_error};
  const Member* const deriver = ChooseDeriver(now);
  if (deriver == nullptr) {
    if (NobodyCan(now, NODE_ROLE_WORKER)) return {absl::StrCat("no worker can read the data", Refusals())};
    return {std::nullopt, absl::StrCat("waits for a worker that can read the data", Refusals())};
  }
  deriver_ = deriver->id;
  if (deriver->connected && TakeOffer(now, &nodes_[deriver_])) {
    Directive offer = Offer();
    offer.mutable_prepare_job()->set_derive(true);
    context_.out->Send(deriver_, std::move(offer));
  }
  return {std::nullopt, absl::StrCat(deriver->name, " reads the data")};
}

// ---- offers ----

Directive Preparation::Offer() const {
  Directive directive;
  directive.mutable_prepare_job()->set_job(definition_.job());
  *directive.mutable_prepare_job()->mutable_spec() = definition_.spec();
  return directive;
}

bool Preparation::TakeOffer(absl::Time now, Candidate* node) const {
  if (node->prepared && node->offered) return false;
  if (node->offered && now - node->offered_at < context_.options.offer_again) return false;
  if (now < node->ask_at) return false;
  node->offered = true;
  node->offered_at = now;
  return true;
}

void Preparation::OfferPlan(absl::Time now) {
  for (const auto& [id, member] : context_.members.all()) {
    if (!member.connected || member.leaving || id == rederiver_) continue;
    if (!TakeOffer(now, &nodes_[id])) continue;
    Directive offer = Offer();
    *offer.mutable_prepare_job()->mutable_plan() = definition_.plan();
    offer.mutable_prepare_job()->set_checkpoint_dir(definition_.checkpoint_dir());
    context_.out->Send(id, std::move(offer));
  }
}

std::optional<StepResult> Preparation::NotReady(absl::Time now) {
  const size_t servers = CountUsable(NODE_ROLE_SERVER), workers = CountUsable(NODE_ROLE_WORKER);
  const ClusterSpec& wants = definition_.spec().cluster();
  if (servers < wants.min_servers() || workers < wants.min_workers()) {
    enough_since_ = absl::InfiniteFuture();
    for (NodeRole role : {NODE_ROLE_SERVER, NODE_ROLE_WORKER}) {
      const size_t there = role == NODE_ROLE_SERVER ? servers : workers;
      if (there < Minimum(role) && NobodyCan(now, role))
        return StepResult{absl::StrCat("no ", RoleText(role), " can take part", Refusals(role))};
    }
    return StepResult{
        std::nullopt,
        absl::StrCat("waits for nodes: ", servers, " of ", Count(wants.min_servers(), "server"), " and ",
                     workers, " of ", Count(wants.min_workers(), "worker"), " are prepared", Refusals())};
  }
  enough_since_ = std::min(enough_since_, now);
  const bool all_answered = std::none_of(nodes_.begin(), nodes_.end(),
                                         [this](const auto& entry) { return AwaitsAnswer(entry.first); });
  if (all_answered || now - enough_since_ >= context_.options.settle) return std::nullopt;
  return StepResult();
}

// ---- lost artifacts ----

void Preparation::AddNeededArtifacts(bool ended, std::set<std::string>* sha256) const {
  for (const Artifact& artifact : definition_.plan().artifacts()) {
    if (!ended || artifact.name() == kTokenizer) sha256->insert(artifact.sha256());
  }
}

void Preparation::OnArtifactLost(absl::Time now, const std::string& sha256) {
  if (!lost_artifact_.empty()) return;
  for (const Artifact& artifact : definition_.plan().artifacts()) {
    if (artifact.sha256() == sha256) lost_artifact_ = artifact.name();
  }
  if (lost_artifact_.empty()) return;
  ++derivations_;
  context_.history->Message(
      now,
      absl::StrCat("artifact ", lost_artifact_, " (", sha256,
                   ") is missing or damaged at the scheduler: a worker will derive it again"),
      LogLine::Level::kError);
}

// Prefers a worker without slots: reading the data then takes no work away from the job.
const Member* Preparation::ChooseRederiver(absl::Time now, const View& view) const {
  const Member* chosen = nullptr;
  std::optional<std::tuple<bool, uint32_t>> least;
  for (const auto& [id, member] : context_.members.all()) {
    if (!member.is_worker() || !member.connected || member.leaving) continue;
    const Candidate* const node = Find(id);
    if (context_.watch.Suspect(id) != nullptr || (node != nullptr && now < node->may_derive_at)) continue;
    const std::tuple<bool, uint32_t> rank = {HasSlots(view, id), node == nullptr ? 0 : node->refusals};
    if (least && rank >= *least) continue;
    chosen = &member;
    least = rank;
  }
  return chosen;
}

void Preparation::DeriveLostArtifacts(absl::Time now, const View& view) {
  if (lost_artifact_.empty()) return;
  const Member* member = context_.members.Find(rederiver_);
  if (member == nullptr || member->leaving || context_.watch.Suspect(rederiver_) != nullptr) {
    member = ChooseRederiver(now, view);
    rederiver_ = member == nullptr ? NodeId(0) : member->id;
    if (member == nullptr) return;
    OnDropped(rederiver_);
    nodes_[rederiver_].ask_at = absl::InfinitePast();
  }
  if (!member->connected || !TakeOffer(now, &nodes_[rederiver_])) return;
  Directive offer = Offer();
  offer.mutable_prepare_job()->set_derive(true);
  offer.mutable_prepare_job()->set_derivation(derivations_);
  context_.out->Send(rederiver_, std::move(offer));
}

void Preparation::GiveUpRederiver(absl::Time now) {
  Candidate& node = nodes_[rederiver_];
  node.may_derive_at = now + context_.options.PauseAfter(node.derive_refusals++);
  rederiver_ = NodeId(0);
}

bool Preparation::MayBeRederived() const {
  bool none = true;
  for (const auto& [id, member] : context_.members.all()) {
    if (!member.is_worker() || !member.connected || member.leaving) continue;
    const Candidate* const node = Find(id);
    if (node == nullptr || node->derive_refusals < kMaxAttempts) return true;
    none = false;
  }
  return none;
}

void Preparation::OnRederived(absl::Time now, const Member& member, const JobPlan& plan) {
  if (!SameMessage(plan, definition_.plan())) {
    Candidate& node = nodes_[member.id];
    if (node.refusals + node.failures == 0) node.unable_since = now;
    ++node.refusals;
    GiveUpRederiver(now);
    return context_.history->Warn(
        now, absl::StrCat(member.name, " has different data than the job and can't derive ", lost_artifact_,
                          " again: ", JobDifferences(PlanText(plan), PlanText(definition_.plan()))));
  }
  context_.history->Message(now, absl::StrCat(member.name, " has derived ", lost_artifact_, " again"));
  rederiver_ = NodeId(0);
  lost_artifact_.clear();
  RetryServers();
  for (auto& [id, other] : nodes_) {
    other.derive_refusals = 0;
    if (!other.refused.empty()) other.ask_at = absl::InfinitePast();
  }
}

// ---- what is known ----

const Preparation::Candidate* Preparation::Find(NodeId node) const {
  const auto found = nodes_.find(node);
  return found == nodes_.end() ? nullptr : &found->second;
}

bool Preparation::IsPrepared(NodeId node) const {
  const Candidate* const candidate = Find(node);
  return candidate != nullptr && candidate->prepared;
}

size_t Preparation::CountPrepared() const {
  return std::count_if(nodes_.begin(), nodes_.end(), [](const auto& entry) { return entry.second.prepared; });
}

size_t Preparation::CountUsable(NodeRole role) const {
  const auto& members = context_.members.all();
  return std::count_if(members.begin(), members.end(), [&](const auto& entry) {
    return entry.second.join.role() == role && !entry.second.leaving && IsPrepared(entry.first);
  });
}

uint32_t Preparation::Minimum(NodeRole role) const {
  const ClusterSpec& wants = definition_.spec().cluster();
  return role == NODE_ROLE_SERVER ? wants.min_servers() : wants.min_workers();
}

bool Preparation::IsSuspect(absl::Time now, NodeId node) const {
  const Candidate* const candidate = Find(node);
  return context_.watch.Suspect(node) != nullptr || (candidate != nullptr && now < candidate->aside_until);
}

std::vector<PlannedNode> Preparation::PlannedNodes(absl::Time now) const {
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

bool Preparation::NobodyCan(absl::Time now, NodeRole role) const {
  const auto is_unable = [](const Candidate* node) {
    return node != nullptr && node->failures + node->refusals >= kMaxAttempts;
  };
  absl::Time since = absl::InfiniteFuture();
  for (const auto& [id, node] : nodes_) {
    if (is_unable(&node)) since = std::min(since, node.unable_since);
  }
  uint32_t unable = 0;
  bool patience_over = false;
  for (const auto& [id, member] : context_.members.all()) {
    if (member.join.role() != role || !member.connected || member.leaving) continue;
    const Candidate* const node = Find(id);
    if (!is_unable(node)) {
      if (IsAwaited(now, id, since)) return false;
      continue;
    }
    ++unable;
    patience_over |= now - node->unable_since >= context_.options.derive_patience;
  }
  return patience_over && unable >= std::max(1u, Minimum(role));
}

std::string Preparation::Refusals(std::optional<NodeRole> role) const {
  std::string text;
  for (const auto& [id, node] : nodes_) {
    const Member* const member = context_.members.Find(id);
    if (member == nullptr || (role && member->join.role() != *role)) continue;
    if (node.failures > 0) {
      absl::StrAppend(&text, "; ", member->name, " failed ", node.failures,
                      " times in a row: ", node.failure);
    } else if (!node.refused.empty()) {
      absl::StrAppend(&text, "; ", member->name, " can't take part: ", node.refused);
    }
  }
  return text;
}

bool Preparation::AwaitsAnswer(NodeId node) const {
  const Candidate* const candidate = Find(node);
  return candidate != nullptr && candidate->offered && !candidate->prepared && candidate->refused.empty();
}

std::vector<NodeId> Preparation::Debtors() const {
  if (!has_plan()) return deriver_ == NodeId(0) ? std::vector<NodeId>() : std::vector<NodeId>{deriver_};
  std::vector<NodeId> unanswered;
  // Nodes of a role that the job lacks, if their answers could be enough; otherwise it waits for more nodes.
  for (NodeRole role : {NODE_ROLE_SERVER, NODE_ROLE_WORKER}) {
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

std::string Preparation::TroubleText(NodeId node) const {
  const Candidate* const candidate = Find(node);
  if (candidate == nullptr) return "";
  if (candidate->trouble == RESTORE_TROUBLE_STORAGE && !candidate->prepared)
    return absl::StrCat("waits to load job ", definition_.job(), ": ", candidate->refused);
  if (!candidate->refused.empty())
    return absl::StrCat("refused job ", definition_.job(), ": ", candidate->refused);
  return "";
}

}  // namespace shoal::scheduler
