// Who takes part in a job: the plan is derived by one worker, then offered to all.
#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/sha256.h"
#include "common/job/job_plan_check.h"
#include "common/job/job_print.h"
#include "common/job/plan_text.h"
#include "scheduler/job_run.h"

namespace shoal::scheduler {
namespace {

std::string Count(uint64_t n, const char* what) { return absl::StrCat(n, " ", what, n == 1 ? "" : "s"); }

}  // namespace

void JobRun::OnPrepared(absl::Time now, const Member& member, const JobPrepared& report) {
  NodeState& node = nodes_[member.id];
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
      if (!checked.ok()) return OnRefused(now, member, refused);
      TakePlan(now, member, report.plan());
    } else if (report.plan().SerializeAsString() != definition_.plan().SerializeAsString()) {
      node.offered = false;  // it derived another one in the meantime
      node.prepared = false;
      return;
    }
  }
  if (!has_plan()) return;
  if (!node.prepared) {  // whatever it held of the job it has dropped to prepare
    node.told = 0;
    node.target.clear();
  }
  node.prepared = true;
  if (report.has_data() || report.has_plan()) node.vote = 1;
  node.refused.clear();
  node.refusals = 0;
}

void JobRun::TakePlan(absl::Time now, const Member& member, const JobPlan& plan) {
  *definition_.mutable_plan() = plan;
  out_->Save(kJobTable, RecordKey(definition_.job()), definition_);
  state_.set_deriver(0);
  for (auto& [id, node] : nodes_) node.vote = 0;
  Message(now, absl::StrCat(member.name, " has read the data: ", plan.train_examples(), " training, ",
                            plan.validation_examples(), " validation and ", plan.test_examples(),
                            " test examples; ", plan.rounds(), " rounds"));
}

absl::Status JobRun::CheckOrigin(const JobPlan& plan) const {
  if (definition_.origin_plan_sha256().empty()) return absl::OkStatus();
  const std::string text = PlanText(plan);
  const std::string sha256 = Sha256Hex(text);
  if (sha256 == definition_.origin_plan_sha256()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("resume_from: ", definition_.origin_checkpoint(),
                   " was trained on other data than this job has (", definition_.origin_plan_sha256(),
                   ", this job's: ", sha256, "): ", JobDifferences(text, definition_.origin_plan_text())));
}

bool JobRun::IsAwaited(absl::Time now, NodeId node, absl::Time since) const {
  return watch_.Suspect(node) == nullptr || now - since < options_.storage_patience;
}

std::string JobRun::DataError(absl::Time now) const {
  absl::Time since = absl::InfiniteFuture();
  for (const auto& [id, node] : nodes_) {
    if (!node.data_error.empty()) since = std::min(since, node.unable_since);
  }
  std::string error;
  std::set<std::string> machines;  // that found one
  bool may_ask = false, patience_over = false;
  for (const auto& [id, member] : members_.all()) {
    if (!member.is_worker() || !member.connected || member.leaving) continue;
    const auto found = nodes_.find(id);
    const bool asked = found != nodes_.end() && found->second.refusals > 0;
    may_ask |= !asked && IsAwaited(now, id, since);
    if (!asked || found->second.data_error.empty()) continue;
    if (error.empty()) error = found->second.data_error;
    machines.insert(member.join.machine().empty() ? member.name : member.join.machine());
    patience_over |= now - found->second.unable_since >= options_.derive_patience;
  }
  return machines.size() > 1 || (patience_over && !may_ask) ? error : "";
}

void JobRun::DeriveAnewByMajority(absl::Time now) {
  if (derived_anew_ || !has_plan() || state_.view().view() > 0) return;
  int agree = 0;
  std::vector<std::pair<NodeId, std::string>> differ;
  for (const auto& [id, node] : nodes_) {
    agree += node.vote > 0;
    if (node.vote < 0) differ.emplace_back(id, node.refused);
  }
  if (static_cast<int>(differ.size()) <= agree) return;
  const Member* const deriver = members_.Find(differ.front().first);
  if (deriver == nullptr || !deriver->connected) return;
  derived_anew_ = true;
  Intervene(now,
            absl::StrCat(differ.size(), " workers have other data than the plan was made of, ", agree,
                         " the same: ", deriver->name, " reads them anew (", differ.front().second, ")"));
  definition_.clear_plan();
  out_->Save(kJobTable, RecordKey(definition_.job()), definition_);
  Directive close;
  close.mutable_close_job()->set_job(definition_.job());
  for (auto& [id, node] : nodes_) {
    out_->Send(id, close);  // what is prepared of the former plan
    node = NodeState();
  }
  state_.set_deriver(deriver->id.value());
}

void JobRun::OnOutdated(absl::Time now, const Member& member, const JobRefused& report) {
  NodeState& node = nodes_[member.id];
  node.prepared = node.offered = false;  // it has dropped the job
  node.installed = 0;
  if (TrainingId(report.outdated_training()) == TrainingId(state_.view().training_id()))
    BeginAnotherTraining(now, absl::StrCat(member.name, " has had a newer view: ", report.reason()));
}

// Nodes have had views that this store does not know, of equal numbers as those to come and of restore points
// that it has never heard of. Another training shuts all of that out.
void JobRun::BeginAnotherTraining(absl::Time now, const std::string& why) {
  Message(now,
          absl::StrCat("the scheduler's store is an older copy (", why,
                       "): the job goes on from the newest checkpoint that it knows"),
          LogLine::Level::kWarning);
  outdated_ = true;
  state_.mutable_view()->set_training_id(NewTrainingId(now).value());
  WantRestore();
}

void JobRun::OnRefused(absl::Time now, const Member& member, const JobRefused& report) {
  if (report.outdated_training() != 0) return OnOutdated(now, member, report);
  NodeState& node = nodes_[member.id];
  const bool derived = state_.deriver() == member.id.value();
  const bool again_in_vain = rederiver_ == member.id;  // what one machine finds by now is not the job's fault
  if (again_in_vain) GiveUpRederiver(now);
  const std::string reason = report.reason().empty() ? "no reason given" : report.reason();
  const bool news = node.refused != reason && (node.failures == 0 || node.failure != reason);
  const bool again = node.failures > 0 && !node.prepared && !node.offered;  // told in a new session
  const bool failed = node.prepared && HasSlots(member.id);
  node.refused = reason;
  node.prepared = false;
  node.offered = false;
  if (!again) {
    if (node.refusals + node.failures == 0) node.unable_since = now;
    node.ask_again = now + PauseAfter(std::max(node.refusals, node.failures));
    if (failed) {
      NoteFailure(&node, reason);
    } else {
      ++node.refusals;
    }
  }
  if (derived) state_.set_deriver(0);
  const bool fatal = report.fatal() && !again_in_vain;
  if (fatal && !member.is_worker()) return End(now, JOB_STATE_FAILED, reason);
  node.data_error = fatal ? reason : "";
  if (report.differs()) node.vote = -1;
  if (news) Message(now, absl::StrCat(member.name, " can't take part: ", reason), LogLine::Level::kWarning);
  if (failed && NobodyCan(now, NODE_ROLE_WORKER))
    End(now, JOB_STATE_FAILED, absl::StrCat("no worker can do the work", Refusals(NODE_ROLE_WORKER)));
}

void JobRun::NoteFailure(NodeState* node, const std::string& reason) {
  ++node->failures;
  node->failure = reason;
  renew_view_ = true;
}

// Rounds that were under way when the view came may be others' work: the next whole one is the view's own.
void JobRun::ForgiveFailures(const ShardProgress& report) {
  if (report.view() != state_.view().view()) return;
  first_in_view_.emplace(report.shard(), Version(report.version()));
  if (first_in_view_.size() < shards_.size()) return;
  uint64_t first = 0;
  for (const auto& [shard, version] : first_in_view_) first = std::max(first, version.value());
  if (LowestVersion().value() < first + 2) return;
  for (auto& [id, node] : nodes_) {
    if (node.failures > 0 && node.prepared && HasSlots(id)) node.failures = 0;
  }
}

bool JobRun::NobodyCan(absl::Time now, NodeRole role) const {
  const auto is_unable = [this](NodeId id) {
    const auto found = nodes_.find(id);
    return found != nodes_.end() && found->second.failures + found->second.refusals >= kMaxAttempts;
  };
  absl::Time since = absl::InfiniteFuture();
  for (const auto& [id, node] : nodes_) {
    if (is_unable(id)) since = std::min(since, node.unable_since);
  }
  uint32_t unable = 0;
  bool patience_over = false;
  for (const auto& [id, member] : members_.all()) {
    if (member.join.role() != role || !member.connected || member.leaving) continue;
    if (!is_unable(id)) {
      if (IsAwaited(now, id, since)) return false;
      continue;
    }
    ++unable;
    patience_over |= now - nodes_.at(id).unable_since >= options_.derive_patience;
  }
  const ClusterSpec& wants = definition_.spec().cluster();
  const uint32_t minimum = role == NODE_ROLE_SERVER ? wants.min_servers() : wants.min_workers();
  return patience_over && unable >= std::max(1u, minimum);
}

std::string JobRun::Refusals(std::optional<NodeRole> role) const {
  std::string text;
  for (const auto& [id, node] : nodes_) {
    const Member* const member = members_.Find(id);
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

const Member* JobRun::ChooseDeriver(absl::Time now) {
  const std::string data_error = DataError(now);
  if (!data_error.empty()) {
    End(now, JOB_STATE_FAILED, data_error);
    return nullptr;
  }
  const Member* const current = members_.Find(NodeId(state_.deriver()));
  const std::string* const stuck = current == nullptr ? nullptr : watch_.Suspect(current->id);
  if (current != nullptr && !current->leaving && !IsSuspect(now, current->id)) return current;
  const Member* const next = NextDeriver(now);
  if (current != nullptr && !current->leaving) {
    if (next == nullptr) return current;  // nobody else can do it
    Intervene(now, absl::StrCat(current->name, " ", stuck == nullptr ? "does not answer" : *stuck, ": ",
                                next->name, " reads the data in its place"));
    nodes_[current->id].offered = false;
  }
  if (next == nullptr && NobodyCan(now, NODE_ROLE_WORKER))
    End(now, JOB_STATE_FAILED, absl::StrCat("no worker can read the data", Refusals()));
  return next;
}

// The one that has refused least often, of those that may be asked now; null: none.
const Member* JobRun::NextDeriver(absl::Time now) const {
  const Member* chosen = nullptr;
  uint32_t fewest = 0;
  for (const auto& [id, member] : members_.all()) {
    if (!member.is_worker() || !member.connected || member.leaving || IsSuspect(now, id)) continue;
    const auto found = nodes_.find(id);
    const uint32_t refusals = found == nodes_.end() ? 0 : found->second.refusals;
    if (found != nodes_.end() && now < found->second.ask_again) continue;
    if (chosen != nullptr && refusals >= fewest) continue;
    chosen = &member;
    fewest = refusals;
  }
  return chosen;
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
    if (id == rederiver_) continue;
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
    for (const auto& [role, what] : {std::pair(NODE_ROLE_SERVER, "server"), {NODE_ROLE_WORKER, "worker"}}) {
      if ((role == NODE_ROLE_SERVER ? servers < wants.min_servers() : workers < wants.min_workers()) &&
          NobodyCan(now, role))
        End(now, JOB_STATE_FAILED, absl::StrCat("no ", what, " can take part", Refusals(role)));
    }
    return false;
  }
  enough_since_ = std::min(enough_since_, now);
  const bool all_answered = std::all_of(nodes_.begin(), nodes_.end(), [](const auto& entry) {
    return !entry.second.offered || entry.second.prepared || !entry.second.refused.empty();
  });
  return all_answered || now - enough_since_ >= options_.settle;
}

}  // namespace shoal::scheduler
