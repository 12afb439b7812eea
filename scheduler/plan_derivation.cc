#include "scheduler/plan_derivation.h"

#include <algorithm>
#include <optional>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "common/base/sha256.h"
#include "common/base/utf8.h"
#include "common/job/artifact_names.h"
#include "common/job/job_plan_check.h"
#include "common/job/job_print.h"
#include "common/job/plan_text.h"
#include "common/protocol/same_message.h"
#include "scheduler/view_roles.h"

namespace shoal::scheduler {
namespace {

constexpr int kShownLabels = 5;

// "; 43 labels: admin, comm, ...", "" when there are none: labels that look wrong come from a wrong column.
std::string LabelsText(const JobPlan& plan) {
  if (plan.labels().empty()) return "";
  std::string text =
      absl::StrCat("; ", plan.labels_size(), plan.labels_size() == 1 ? " label: " : " labels: ");
  for (int i = 0; i < std::min(plan.labels_size(), kShownLabels); ++i)
    absl::StrAppend(&text, i == 0 ? "" : ", ", ToQuoted(plan.labels(i)));
  if (plan.labels_size() > kShownLabels) text += ", ...";
  return text;
}

// "; left out because of data.min_class_count: 12 examples", "" when there are none.
std::string RareText(const JobPlan& plan) {
  if (plan.rare_examples() == 0) return "";
  return absl::StrCat("; left out because of data.min_class_count: ", plan.rare_examples(),
                      plan.rare_examples() == 1 ? " example" : " examples");
}

// Plans that an earlier release derived lack what is only for people.
bool IsSamePlan(JobPlan a, JobPlan b) {
  for (JobPlan* plan : {&a, &b}) {
    plan->clear_cut_examples();
    plan->clear_notes();
  }
  return SameMessage(a, b);
}

std::string CutText(const JobPlan& plan) {
  if (plan.cut_examples() == 0) return "";
  return absl::StrCat("; longer than ", plan.max_length(),
                      " tokens (model.max_length), and cut: ", plan.cut_examples(),
                      plan.cut_examples() == 1 ? " example" : " examples");
}

bool IsPresentWorker(const Member& member) {
  return member.is_worker() && member.connected && !member.leaving;
}

}  // namespace

void PlanDerivation::SaveDefinition() { context_.out->Save(kJobTable, RecordKey(job_->job()), *job_); }

void PlanDerivation::Load(const JobStateRecord& record) {
  deriver_ = NodeId(record.deriver());
  derivations_ = record.derivations();
}

void PlanDerivation::SaveTo(JobStateRecord* record) const {
  record->set_deriver(deriver_.value());
  record->set_derivations(derivations_);
}

// ---- what has happened ----

void PlanDerivation::OnNodeLost(NodeId node) {
  workers_.erase(node);
  if (deriver_ == node) deriver_ = NodeId(0);
  if (rederiver_ == node) rederiver_ = NodeId(0);
}

void PlanDerivation::Close() {
  deriver_ = NodeId(0);
  workers_.clear();
}

void PlanDerivation::OnPrepared(absl::Time now, const Member& member, const JobPrepared& report) {
  if (report.has_plan() && member.is_worker() && !OnPlan(now, member, report.plan())) return;
  if (!job_->has_plan()) return;
  if (report.has_data() || report.has_plan()) workers_[member.id].vote = 1;
  roll_call_->OnPrepared(member.id);
}

bool PlanDerivation::OnPlan(absl::Time now, const Member& member, const JobPlan& plan) {
  if (member.id == rederiver_) OnRederived(now, member, plan);
  if (job_->has_plan()) {
    if (IsSamePlan(plan, job_->plan())) return true;
    roll_call_->OnDropped(member.id);  // it has derived another one in the meantime
    return false;
  }
  const absl::Status valid = CheckPlan(job_->spec(), plan);
  const absl::Status checked = valid.ok() ? CheckOrigin(plan) : valid;
  if (checked.ok()) {
    roll_call_->OnPrepared(member.id);  // first: TakePlan tells users who can't take part
    TakePlan(now, member, plan);
    return true;
  }
  JobRefused refused;
  refused.set_reason(std::string(checked.message()));
  refused.set_fatal(valid.ok());
  OnRefused(now, member, refused);
  roll_call_->OnRefused(now, member, refused, /*at_work=*/false);
  return false;
}

absl::Status PlanDerivation::CheckOrigin(const JobPlan& plan) const {
  if (job_->origin_plan_sha256().empty()) return absl::OkStatus();
  const std::string text = PlanText(plan);
  const std::string sha256 = Sha256Hex(text);
  if (job_->origin_version() > plan.rounds()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "resume_from: ", job_->origin_checkpoint(), " has ", job_->origin_version(),
        " rounds of training behind it, this job has only ", plan.rounds(), " (train.epochs, train.rounds)"));
  }
  const ScheduleType schedule = job_->spec().schedule().type();
  const bool any_length = schedule == SCHEDULE_TYPE_CONSTANT || schedule == SCHEDULE_TYPE_INVERSE_SQRT;
  if (sha256 == job_->origin_plan_sha256() ||
      (any_length && DifferOnlyInLength(text, job_->origin_plan_text())))
    return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("resume_from: ", job_->origin_checkpoint(),
                   " was trained on different data than this job's, or its plan "
                   "was derived by another release of Shoal (",
                   job_->origin_plan_sha256(), ", this job's: ", sha256,
                   "): ", JobDifferences(text, job_->origin_plan_text())));
}

void PlanDerivation::TakePlan(absl::Time now, const Member& member, const JobPlan& plan) {
  *job_->mutable_plan() = plan;
  SaveDefinition();
  deriver_ = NodeId(0);
  alone_ = absl::ZeroDuration();
  is_alone_ = false;
  for (auto& [id, worker] : workers_) worker.vote = 0;
  roll_call_->TellRefusals(now);
  roll_call_->OnPlan();
  context_.history->Message(
      now,
      absl::StrCat(member.name, " has read the data: ", plan.train_examples(), " training, ",
                   plan.validation_examples(), " validation and ", plan.test_examples(), " test examples",
                   RareText(plan), CutText(plan), LabelsText(plan), "; ", plan.rounds(), " rounds"));
  for (const std::string& note : plan.notes()) context_.history->Message(now, note);
}

void PlanDerivation::OnRefused(absl::Time now, const Member& member, const JobRefused& report) {
  // What one machine finds while it derives lost artifacts is not the job's fault.
  const bool rederived_in_vain = rederiver_ == member.id;
  if (rederived_in_vain) GiveUpRederiver(now);
  if (deriver_ == member.id) deriver_ = NodeId(0);
  Worker& worker = workers_[member.id];
  worker.found_error = report.fatal() && !rederived_in_vain;
  if (report.differs()) worker.vote = -1;
}

// ---- the plan ----

PlanDerivation::Worker PlanDerivation::Find(NodeId node) const {
  const auto found = workers_.find(node);
  return found == workers_.end() ? Worker() : found->second;
}

std::string PlanDerivation::DataError(absl::Time now) {
  absl::Time since = absl::InfiniteFuture();
  for (const auto& [id, worker] : workers_) {
    if (worker.found_error) since = std::min(since, roll_call_->UnableSince(id));
  }
  std::string error;
  std::set<std::string> machines;  // those that found one
  bool may_ask = false;
  for (const auto& [id, member] : context_.members.all()) {
    if (!IsPresentWorker(member)) continue;
    const bool asked = roll_call_->CountRefusals(id) > 0;
    may_ask |= !asked && roll_call_->IsAwaited(now, id, since);
    if (!asked || !Find(id).found_error) continue;
    if (error.empty()) error = roll_call_->ReasonOf(id);
    machines.insert(member.join.machine().empty() ? member.name : member.join.machine());
  }
  // One that has been there for long has not just come to crash again.
  others_since_ = may_ask ? std::min(others_since_, now) : absl::InfiniteFuture();
  if (error.empty() || now - others_since_ >= context_.options.storage_patience)
    alone_ = absl::ZeroDuration();
  if (is_alone_) alone_ += now - judged_;
  judged_ = now;
  is_alone_ = !error.empty() && !may_ask;
  const bool over = is_alone_ && alone_ >= context_.options.derive_patience;
  return machines.size() > 1 || over ? error : "";
}

void PlanDerivation::DeriveAnewByMajority(absl::Time now) {
  if (derived_anew_ || !job_->has_plan()) return;
  int agree = 0;
  std::vector<NodeId> differ;
  for (const auto& [id, worker] : workers_) {
    agree += worker.vote > 0;
    if (worker.vote < 0) differ.push_back(id);
  }
  if (static_cast<int>(differ.size()) <= agree) return;
  const Member* const deriver = context_.members.Find(differ.front());
  if (deriver == nullptr || !deriver->connected) return;
  derived_anew_ = true;
  context_.history->Intervene(
      now, absl::StrCat(differ.size(), " workers have different data than the plan was made from, ", agree,
                        " the same: ", deriver->name, " reads the data again (",
                        roll_call_->ReasonOf(deriver->id), ")"));
  job_->clear_plan();
  SaveDefinition();
  workers_.clear();
  roll_call_->StartOver();
  deriver_ = deriver->id;
}

const Member* PlanDerivation::ChooseDeriver(absl::Time now) {
  const Member* const current = context_.members.Find(deriver_);
  const bool there = current != nullptr && !current->leaving;
  if (there && !roll_call_->IsSuspect(now, current->id)) return current;
  const Member* const next = NextDeriver(now);
  if (!there) return next;
  if (next == nullptr) return current;  // nobody else can do it
  const std::string* const stuck = context_.watch.Suspect(current->id);
  context_.history->Intervene(
      now, absl::StrCat(current->name, " ", stuck == nullptr ? "does not answer" : *stuck, ": ", next->name,
                        " reads the data in its place"));
  roll_call_->MakeDue(current->id);
  return next;
}

const Member* PlanDerivation::NextDeriver(absl::Time now) const {
  const Member* chosen = nullptr;
  uint32_t fewest = 0;
  for (const auto& [id, member] : context_.members.all()) {
    if (!IsPresentWorker(member) || roll_call_->IsSuspect(now, id) || !roll_call_->MayBeAsked(now, id))
      continue;
    const uint32_t refusals = roll_call_->CountRefusals(id);
    if (chosen != nullptr && refusals >= fewest) continue;
    chosen = &member;
    fewest = refusals;
  }
  return chosen;
}

StepResult PlanDerivation::Derive(absl::Time now) {
  const std::string data_error = DataError(now);
  if (!data_error.empty()) return {data_error};
  const Member* const deriver = ChooseDeriver(now);
  if (deriver == nullptr || roll_call_->IsSuspect(now, deriver->id)) {
    roll_call_->TellRefusals(now);
    const std::string refusals = absl::StrCat(roll_call_->RefusalsText(), roll_call_->HangingText());
    if (roll_call_->NobodyCan(NODE_ROLE_WORKER))
      return {absl::StrCat("no worker can prepare the job", refusals)};
    if (deriver == nullptr)
      return {std::nullopt, absl::StrCat("waits for a worker that can prepare the job", refusals)};
  }
  deriver_ = deriver->id;
  roll_call_->AskToDerive(now, *deriver, /*derivation=*/0);
  return {std::nullopt, absl::StrCat(deriver->name, " reads the data")};
}

std::vector<NodeId> PlanDerivation::Debtors() const {
  return deriver_ == NodeId(0) ? std::vector<NodeId>() : std::vector<NodeId>{deriver_};
}

// ---- artifacts ----

void PlanDerivation::AddNeededArtifacts(bool ended, bool has_checkpoint,
                                        std::set<std::string>* sha256) const {
  for (const Artifact& artifact : job_->plan().artifacts()) {
    if (!ended || (has_checkpoint && IsForExport(artifact.name()))) sha256->insert(artifact.sha256());
  }
}

void PlanDerivation::OnArtifactLost(absl::Time now, const std::string& sha256) {
  if (!lost_artifact_.empty()) return;
  for (const Artifact& artifact : job_->plan().artifacts()) {
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

// Reading the data takes a worker with slots away from its work: in vain only once.
bool PlanDerivation::MayRederive(NodeId node, const View& view) const {
  const Worker worker = Find(node);
  return worker.derive_refusals == 0 || !(worker.left_its_work || HasSlots(view, node));
}

// Prefers a worker without slots.
const Member* PlanDerivation::ChooseRederiver(absl::Time now, const View& view) const {
  const Member* chosen = nullptr;
  std::optional<std::tuple<bool, uint32_t>> least;
  for (const auto& [id, member] : context_.members.all()) {
    if (!IsPresentWorker(member) || context_.watch.Suspect(id) != nullptr || now < Find(id).may_derive_at ||
        !MayRederive(id, view))
      continue;
    const std::tuple<bool, uint32_t> rank = {HasSlots(view, id), roll_call_->CountRefusals(id)};
    if (least && rank >= *least) continue;
    chosen = &member;
    least = rank;
  }
  return chosen;
}

void PlanDerivation::DeriveLostArtifacts(absl::Time now, const View& view) {
  if (lost_artifact_.empty()) return;
  const Member* member = context_.members.Find(rederiver_);
  if (member == nullptr || member->leaving || context_.watch.Suspect(rederiver_) != nullptr) {
    member = ChooseRederiver(now, view);
    rederiver_ = member == nullptr ? NodeId(0) : member->id;
    if (member == nullptr) return;
    workers_[rederiver_].left_its_work = HasSlots(view, rederiver_);
    roll_call_->MakeDue(rederiver_);
  }
  roll_call_->AskToDerive(now, *member, derivations_);
}

void PlanDerivation::GiveUpRederiver(absl::Time now) {
  Worker& worker = workers_[rederiver_];
  worker.may_derive_at = now + context_.options.PauseAfter(worker.derive_refusals++);
  rederiver_ = NodeId(0);
}

bool PlanDerivation::ExpectsArtifact(const View& view) const {
  if (lost_artifact_.empty()) return false;
  bool none = true;
  for (const auto& [id, member] : context_.members.all()) {
    if (!IsPresentWorker(member)) continue;
    if (Find(id).derive_refusals < kMaxAttempts && MayRederive(id, view)) return true;
    none = false;
  }
  return none;
}

void PlanDerivation::OnRederived(absl::Time now, const Member& member, const JobPlan& plan) {
  if (!IsSamePlan(plan, job_->plan())) {
    roll_call_->OnOtherPlan(now, member.id);
    GiveUpRederiver(now);
    return context_.history->Warn(
        now, absl::StrCat(member.name, " has different data than the job and can't derive ", lost_artifact_,
                          " again: ", JobDifferences(PlanText(plan), PlanText(job_->plan()))));
  }
  context_.history->Message(now, absl::StrCat(member.name, " has derived ", lost_artifact_, " again"));
  rederiver_ = NodeId(0);
  lost_artifact_.clear();
  for (auto& [id, worker] : workers_) worker.derive_refusals = 0;
  roll_call_->RetryAll();
}

}  // namespace shoal::scheduler
