#include "scheduler/job_run.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/utf8.h"
#include "common/job/job_plan_check.h"
#include "common/protocol/job_states.h"
#include "common/protocol/slot_text.h"
#include "common/storage/checkpoint.h"
#include "common/storage/restore_trouble.h"
#include "scheduler/view_roles.h"

namespace shoal::scheduler {
JobRun::JobRun(const SchedulerOptions& options, const Membership& members, const ProgressWatch& watch,
               Outbox* out, JobDefinition definition)
    : history_(JobId(definition.job()), out),
      context_{options, members, watch, out, &history_},
      definition_(std::move(definition)),
      roll_call_(context_, definition_),
      derivation_(context_, &definition_, &roll_call_),
      rollout_(Version(definition_.origin_version())),
      evaluations_(context_, definition_),
      checkpoints_(context_, definition_, evaluations_),
      metrics_(context_, definition_),
      completion_(context_, definition_, evaluations_, &checkpoints_),
      last_resort_(options.watch) {}

// ---- its life ----

void JobRun::Create(absl::Time now, const std::optional<ResumePoint>& resume) {
  derivation_.SaveDefinition();
  if (resume) checkpoints_.AddForeign(*resume);
  metrics_.Start(now, resume ? resume->version : Version(0));
  SetState(now, JOB_STATE_QUEUED, "waits for its turn");
  if (resume) {
    checkpoints_.TellForeign(now, *resume);
    if (!resume->directory.empty()) evaluations_.Rejudge(*resume, checkpoints_.Versions());
  }
  moved_ = now;
  Save();
}

bool JobRun::ended() const { return IsEnded(state_); }

void JobRun::Cancel(absl::Time now) { End(now, JOB_STATE_CANCELLED, "cancelled by a user"); }

void JobRun::End(absl::Time now, JobState state, const std::string& reason) {
  if (ended()) return;
  ended_unix_ms_ = absl::ToUnixMillis(now);
  completion_.OnEnded(rollout_.LowestVersion());
  derivation_.Close();
  std::set<NodeId> nodes = roll_call_.Close();
  nodes.merge(rollout_.Close());
  SetState(now, state, reason);
  Directive close;
  close.mutable_close_job()->set_job(definition().job());
  for (NodeId node : nodes) context_.out->Send(node, close);
  if (rollout_.has_view()) context_.out->Do(DeletePartialFiles{definition().checkpoint_dir(), std::nullopt});
  Save();
}

void JobRun::EndIf(absl::Time now, const Failure& failure) {
  if (failure) End(now, JOB_STATE_FAILED, *failure);
}

void JobRun::Apply(absl::Time now, const StepResult& result) {
  if (result.reason) Explain(*result.reason);
  EndIf(now, result.failure);
}

void JobRun::Explain(const std::string& reason) { reason_ = ToMessage(reason); }

void JobRun::SetState(absl::Time now, JobState state, const std::string& reason) {
  state_ = state;
  Explain(reason);
  JobEvent event;
  *event.mutable_state() = Describe(/*full=*/false);
  history_.Add(now, std::move(event));
  const std::string line = absl::StrCat("job ", definition().job(), " (", definition().spec().name(), ") is ",
                                        JobState_Name(state).substr(10), reason.empty() ? "" : ": ", reason);
  context_.out->Do(LogLine{state == JOB_STATE_FAILED ? LogLine::Level::kError : LogLine::Level::kInfo, line});
}

// ---- what has happened ----

void JobRun::OnSessionOpened(NodeId node) {
  roll_call_.OnSessionOpened(node);
  rollout_.OnSessionOpened(node);
}

void JobRun::OnNodeLost(absl::Time now, const Member& member) {
  const bool matters = HasWork(member.id);
  derivation_.OnNodeLost(member.id);
  roll_call_.OnNodeLost(member.id);
  rollout_.OnNodeLost(member.id);
  if (!matters || ended()) return;
  const std::string how = member.leaving     ? "has left"
                          : member.connected ? "is silent: considered dead"
                                             : "is lost (its connection broke)";
  history_.Warn(now, absl::StrCat(member.name, " ", how));
}

void JobRun::OnPrepared(absl::Time now, const Member& member, const JobPrepared& report) {
  derivation_.OnPrepared(now, member, report);
  // While preparing, it may have dropped what it had been sent.
  if (roll_call_.IsPrepared(member.id)) rollout_.OnPrepared(member.id);
}

void JobRun::OnRefused(absl::Time now, const Member& member, const JobRefused& report) {
  if (report.outdated_training() != 0) return OnOutdated(now, member, report);
  derivation_.OnRefused(now, member, report);
  if (HoldsAnyShard(view(), member.id)) rollout_.WantRestore();  // it has dropped its shards with the job
  const auto refusal = roll_call_.OnRefused(now, member, report, HasSlots(view(), member.id));
  if (refusal.work_failed) rollout_.WantRenewal();
  EndIf(now, refusal.failure);
}

void JobRun::OnOutdated(absl::Time now, const Member& member, const JobRefused& report) {
  // Of a former training it may be repeated after the node has begun to prepare for this one.
  if (TrainingId(report.outdated_training()) != TrainingId(view().training_id())) return;
  roll_call_.OnDropped(member.id);
  rollout_.OnDropped(member.id);
  BeginAnotherTraining(now, absl::StrCat(member.name, " has had a newer view: ", report.reason()));
}

// Nodes have had views that this store does not know, with the same numbers as those to come, and restore
// points that it does not know either. A new training excludes all of them. The nodes drop what they hold and
// prepare again, as before a first view, so that the next view does not consist only of those that were
// fastest.
void JobRun::BeginAnotherTraining(absl::Time now, const std::string& why) {
  history_.Warn(now, absl::StrCat("the scheduler's store is an older copy (", why,
                                  "): the job continues from the newest checkpoint that it knows"));
  // What servers have reported since is beyond the known verdicts and statistics.
  checkpoints_.ForgetBeyond(std::min(RestoreLimit(), metrics_.version()));
  rollout_.BeginTraining(NewTrainingId(definition(), TrainingId(view().training_id()), now));
  roll_call_.DropAll();
  Directive close;
  close.mutable_close_job()->set_job(definition().job());
  for (const auto& [node, member] : context_.members.all()) context_.out->Send(node, close);
  regrouping_ = true;
}

// A view is stored before it is sent to anybody.
bool JobRun::IsUnknownView(absl::Time now, const Member& member, uint64_t reported) {
  if (reported <= view().view()) return false;
  BeginAnotherTraining(
      now, absl::StrCat(member.name, " has view ", reported, ", and the newest here is ", view().view()));
  return true;
}

void JobRun::OnInstalled(absl::Time now, const Member& member, const ViewInstalled& report) {
  if (IsUnknownView(now, member, report.view()) || !HoldsAnyShard(view(), member.id)) return;
  if (report.error().empty()) {
    rollout_.OnInstalled(member.id, report.view());
    return roll_call_.OnLoaded(member.id);
  }
  if (report.view() != view().view()) return;
  const RestorePoint& restore = view().restore();
  history_.Message(
      now, absl::StrCat(member.name, " could not load version ", restore.version(), ": ", report.error()),
      LogLine::Level::kError);
  if (report.trouble() != RESTORE_TROUBLE_DAMAGED || restore.checkpoint().empty())
    return StandAside(now, member.id, report.error(), report.trouble());
  checkpoints_.OnAccused(member.id, restore, report.error());
}

void JobRun::StandAside(absl::Time now, NodeId server, const std::string& error, RestoreTrouble trouble) {
  if (HasWork(server) && !rollout_.Holds(server)) rollout_.WantRestore();
  using Outcome = RollCall::RestoreOutcome;
  const Outcome outcome = roll_call_.OnNotLoaded(now, server, error, trouble);
  // A lost artifact may be what all servers lack.
  if (outcome == Outcome::kOthersTry || derivation_.ExpectsArtifact(view())) return;
  const Version version = rollout_.restore_version();
  if (outcome == Outcome::kAllFailed || checkpoints_.Find(version) == nullptr)
    return End(now, JOB_STATE_FAILED, error);
  roll_call_.RetryServers();
  LoseCheckpoint(now, version,
                 absl::UnknownError(absl::StrCat(error, " (all servers have tried; its files are kept)")));
}

void JobRun::LoseCheckpoint(absl::Time now, Version version, const absl::Status& health) {
  if (!checkpoints_.Lose(now, version, health, Needs())) return;
  if (rollout_.restore_version() == version && !rollout_.IsInstalled()) rollout_.WantRestore();
}

void JobRun::OnProgress(absl::Time now, const Member& member, const ShardProgress& report) {
  if (IsUnknownView(now, member, report.view()) || !HoldsShard(view(), member.id, report.shard())) return;
  const Version last(LengthOf(definition().plan()).rounds);
  if (report.version() > last.value()) return;
  // A server that does not know the newest view yet also reports its rounds' statistics only once. Those from
  // servers of an earlier restore point are not needed: the rounds before the current one's version are
  // recorded, the others are run again.
  if (report.shard() == 0) EndIf(now, metrics_.AddRounds(now, report));
  if (ended() || !rollout_.Accepts(report)) return;
  const uint64_t target = CurrentTarget().version();
  if (report.version() > target) {  // only verdicts move the target, and they are stored first
    return BeginAnotherTraining(
        now, absl::StrCat(member.name, " has version ", report.version(), ", but should wait at ", target));
  }
  if (rollout_.AddProgress(report)) moved_ = now;
  roll_call_.OnVersion(rollout_.LowestVersion());
  if (rollout_.IsProven(report)) roll_call_.OnProven(view());
  metrics_.PublishProgress(now);
}

void JobRun::OnShardWritten(absl::Time now, const Member& member, const ShardWritten& report) {
  if (HoldsShard(view(), member.id, report.shard())) checkpoints_.OnWritten(now, member, report, Needs());
}

void JobRun::OnEvaluated(absl::Time now, const Member& member, const SlotEvaluated& report) {
  if (RestoreId(report.restore_id()) != rollout_.restore_id() ||
      !rollout_.HasHadSlot(member.id, report.slot()))
    return;
  if (!evaluations_.AddSlot(CurrentTarget(), report)) return;
  moved_ = now;
  roll_call_.OnEvaluated(member.id);
}

void JobRun::OnSlotFailed(absl::Time now, const Member& member, const SlotFailed& report) {
  if (RestoreId(report.restore_id()) != rollout_.restore_id() ||
      !rollout_.HasHadSlot(member.id, report.slot()))
    return;
  End(now, JOB_STATE_FAILED,
      absl::StrCat(SlotText(report.set(), Version(report.round()), Slot(report.slot())), ": ",
                   report.reason().empty() ? "the loss is not a number" : report.reason()));
}

void JobRun::OnCheckpointCommitted(absl::Time now, const CommitCheckpointFiles& commit,
                                   const absl::StatusOr<std::string>& checkpoint) {
  if (!checkpoints_.OnCommitted(now, commit, checkpoint, Needs())) return;
  // Rounds that need not be run again must not be forgotten either.
  if (!ended()) metrics_.RecordIfAny(now);
  JobEvent event;
  event.set_checkpoint(commit.manifest.version());
  history_.Add(now, std::move(event));
  Save();  // nothing else does when the job has ended
}

void JobRun::OnCheckpointChecked(absl::Time now, Version version, const absl::Status& health) {
  const std::map<NodeId, std::string> accusers = checkpoints_.OnChecked(version);
  if (ended()) return;
  if (IsCheckpointDamage(health)) return LoseCheckpoint(now, version, health);
  const std::string confirmed = health.ok() ? "" : absl::StrCat("; the scheduler: ", health.message());
  for (const auto& [server, error] : accusers)
    StandAside(now, server, absl::StrCat(error, confirmed), RestoreTroubleOf(health));
}

void JobRun::OnResult(absl::Time now, const absl::StatusOr<std::string>& parameters_sha256) {
  checkpoints_.OnFilesAnswered();
  if (state_ != JOB_STATE_TESTING) return;
  const Completion::Reading reading = completion_.OnRead(now, parameters_sha256, metrics_.Totals());
  EndIf(now, reading.failure);
  if (reading.done) End(now, JOB_STATE_COMPLETED, "");
  if (IsCheckpointDamage(reading.lost)) return OnCheckpointChecked(now, completion_.kept(), reading.lost);
  if (!reading.lost.ok()) LoseCheckpoint(now, completion_.kept(), reading.lost);
}

void JobRun::OnArtifactLost(absl::Time now, const std::string& sha256) {
  if (!ended()) derivation_.OnArtifactLost(now, sha256);
}

// ---- steps ----

void JobRun::Awake(absl::Duration asleep) {
  derivation_.Awake(asleep);
  roll_call_.Awake(asleep);
  checkpoints_.Awake(asleep);
  completion_.Awake(asleep);
  last_resort_.Awake(asleep);
}

void JobRun::Advance(absl::Time now) {
  // Whether the time up to now counts depends on which nodes were present, so this comes before nodes are
  // placed again.
  metrics_.CountRunningTime(now, placed_ && state_ == JOB_STATE_RUNNING);
  roll_call_.Watch(now, /*started=*/rollout_.has_view());
  if (state_ == JOB_STATE_QUEUED) SetState(now, JOB_STATE_PREPARING, "");
  // Everything else depends on the plan. A plan that most workers contradict is dropped before anybody is
  // offered it.
  Derive(now);
  if (has_plan()) {
    checkpoints_.RetryCommits(now);
    // A worker that derives lost artifacts is not offered the plan meanwhile, so it is chosen first.
    derivation_.DeriveLostArtifacts(now, view());
    roll_call_.OfferPlan(now, derivation_.rederiver());
    // The verdict may end the training, and the result may need a restore point. Both come before the view,
    // so that one view is enough, and before the target is announced, which must not move without the
    // verdict.
    Judge(now);
    Finish(now);
  }
  // A stall is judged by what these steps have left waiting. The remedy is a new view, so that follows.
  WatchFiles(now);
  HelpOn(now);
  if (has_plan() && !ended()) {
    PlaceNodes(now);
    Announce();  // the view and the target, which are now decided
    Prune();     // keeps what the new restore point needs
  }
  Save();
}

void JobRun::Derive(absl::Time now) {
  if (!rollout_.has_view()) derivation_.DeriveAnewByMajority(now);
  if (!has_plan()) Apply(now, derivation_.Derive(now));
}

void JobRun::Judge(absl::Time now) {
  if (!rollout_.has_view()) return;
  const Target target = CurrentTarget();
  const Version version(target.version());
  // Servers report a version together with its rounds' statistics, so once it is here, none of them is
  // missing from the metrics.
  if (rollout_.LowestVersion() < version) return;
  if (target.evaluate() == EVALUATION_SET_NONE) {
    if (state_ == JOB_STATE_RUNNING) EndTraining(now, version);
    return;
  }
  if (!evaluations_.IsWhole(target)) return;
  const EvaluationLedger::Verdict verdict = evaluations_.Judge(now, target);
  EndIf(now, verdict.failure);
  if (verdict.ends_training) EndTraining(now, version);
}

void JobRun::EndTraining(absl::Time now, Version version) {
  metrics_.Finish(now);
  completion_.EndTraining(now, version);
  SetState(now, JOB_STATE_TESTING, "");
}

void JobRun::Finish(absl::Time now) {
  if (state_ != JOB_STATE_TESTING) return;
  const auto step = completion_.Advance(now, rollout_.restore_version(), rollout_.restore_wanted());
  if (step.wants_restore) rollout_.WantRestore();
  Apply(now, step.result);
}

void JobRun::WatchFiles(absl::Time now) {
  if (ended()) return;
  EndIf(now, checkpoints_.WatchFiles(now, completion_.IsReading(), state_ == JOB_STATE_TESTING));
}

void JobRun::HelpOn(absl::Time now) {
  if (ended()) return;
  const absl::Duration silence = last_resort_.Silence(now);
  const LastResort::Step step = last_resort_.Advance(now, Evidence().Situation(now));
  if (step == LastResort::Step::kNone) return;
  const std::string why = absl::StrCat("the job has made no progress for ",
                                       absl::StrFormat("%.1f s", absl::ToDoubleSeconds(silence)),
                                       ", for no known reason; still missing: ", Evidence().DebtorsText());
  const std::string remedy = LastResort::Text(step);
  if (step == LastResort::Step::kGiveUp)
    return End(now, JOB_STATE_FAILED, absl::StrCat(why, "; it did not help to ", remedy));
  if (step == LastResort::Step::kMoveWork) {
    for (const auto& [node, what] : Evidence().Debtors())
      roll_call_.SetAside(node, now + context_.options.watch.silent_for);
  }
  if (step == LastResort::Step::kGoBack && rollout_.has_view()) rollout_.WantRestore();
  rollout_.WantRenewal();
  for (NodeId node : Evidence().NeededNodes()) stale_sessions_.push_back(node);
  history_.Intervene(now, absl::StrCat(why, "; trying to ", remedy));
}

void JobRun::EndIfHopeless(absl::Time now) {
  const Needed needed = WhatIsNeeded();
  completion_.NoteWriter(now, needed == Needed::kWriters && WriterHangs());
  const bool may_come =
      needed == Needed::kScheduler || (needed == Needed::kWriters && completion_.MayBeWritten(now));
  if (!may_come) EndIf(now, roll_call_.Hopeless());
}

// With every version computed, what comes next (the result, or a test) waits for the servers that have the
// last one to write it, and for the scheduler to commit it.
JobRun::Needed JobRun::WhatIsNeeded() const {
  if (completion_.IsReading() || completion_.HasTrouble()) return Needed::kScheduler;
  const Target target = CurrentTarget();
  if (state_ != JOB_STATE_TESTING || target.evaluate() != EVALUATION_SET_NONE || rollout_.restore_wanted() ||
      rollout_.LowestVersion().value() < target.version())
    return Needed::kNodes;
  if (completion_.IsBeingCommitted()) return Needed::kScheduler;
  const std::vector<NodeRef> writers = Primaries(view());
  const bool prepared = std::all_of(writers.begin(), writers.end(), [this](const NodeRef& writer) {
    return roll_call_.IsPrepared(NodeId(writer.node_id()));
  });
  return prepared ? Needed::kWriters : Needed::kNodes;
}

bool JobRun::WriterHangs() const {
  const std::vector<NodeRef> writers = Primaries(view());
  return std::any_of(writers.begin(), writers.end(), [this](const NodeRef& writer) {
    return context_.watch.Suspect(NodeId(writer.node_id())) != nullptr;
  });
}

void JobRun::PlaceNodes(absl::Time now) {
  placed_ = false;
  if (!rollout_.has_view() || regrouping_ || HasLostAllServers()) {
    if (const auto waits = roll_call_.NotReady(now, /*first=*/!rollout_.has_view())) {
      EndIfHopeless(now);
      return ended() ? void() : Apply(now, *waits);
    }
  }
  ViewPlan plan = PlanView(PlannerInputs(now));
  if (!plan.placed) {
    EndIfHopeless(now);
    return ended() ? void()
                   : Explain(absl::StrCat(plan.reason, roll_call_.RefusalsText(), roll_call_.HangingText()));
  }
  placed_ = true;
  completion_.NoteWriter(now, /*hangs=*/false);
  if (!plan.restores && state_ == JOB_STATE_RUNNING) {
    const std::string& write_trouble = checkpoints_.write_trouble();
    const bool both = !write_trouble.empty() && !plan.reason.empty();
    Explain(absl::StrCat(write_trouble, both ? "; " : "", plan.reason));
  }
  for (const std::string& why : plan.left_out) history_.Intervene(now, why);
  if (plan.next) BeginView(now, *std::move(plan.next), plan.restores);
}

// Whoever comes first would otherwise hold all shards, and do all the work, for the rest of the training.
bool JobRun::HasLostAllServers() const {
  const std::vector<NodeRef> primaries = Primaries(view());
  return std::none_of(primaries.begin(), primaries.end(), [this](const NodeRef& primary) {
    const Member* const member = context_.members.Find(NodeId(primary.node_id()));
    return member != nullptr && !member->leaving;
  });
}

void JobRun::BeginView(absl::Time now, View next, bool restores) {
  if (!rollout_.has_view()) {
    started_unix_ms_ = absl::ToUnixMillis(now);
    metrics_.Restart(now);
    SetState(now, JOB_STATE_RUNNING, "");
  }
  regrouping_ = false;
  roll_call_.OnViewBegun();
  if (restores) {
    // An older copy of the store may begin another restore point with this number, but not at this time.
    next.mutable_restore()->set_nonce(
        NewTrainingId(definition(), TrainingId(next.training_id()), now).value());
  }
  Explain("");
  history_.Message(now, ViewText(next, restores));
  rollout_.Begin(std::move(next));
  if (!restores) return;
  completion_.OnRestored();
  checkpoints_.BeginRestorePoint(rollout_.restore_id(), view().shards_size());
  moved_ = now;
}

void JobRun::Announce() {
  rollout_.Announce(
      context_.members, [this](NodeId node) { return roll_call_.IsPrepared(node); }, CurrentTarget(),
      context_.out);
}

void JobRun::Prune() {
  std::set<Version> needed = {rollout_.restore_version()};
  if (state_ == JOB_STATE_TESTING) needed.insert(completion_.kept());
  // The verdict on the newest version may still come, and make it the best.
  const EvaluationRecord* const best = evaluations_.BestToKeep();
  if (best != nullptr) needed.insert(Version(best->version()));
  checkpoints_.Prune(needed);
}

// ---- what the parts are told about each other ----

bool JobRun::HasWork(NodeId node) const {
  return derivation_.deriver() == node || HoldsAnyShard(view(), node) || HasSlots(view(), node);
}

Target JobRun::CurrentTarget() const {
  Target target = state_ == JOB_STATE_TESTING ? completion_.NextTarget() : evaluations_.NextTarget();
  target.set_job(definition().job());
  target.set_restore_id(rollout_.restore_id().value());
  return target;
}

CheckpointNeeds JobRun::Needs() const {
  if (state_ == JOB_STATE_TESTING) return completion_.Needs();
  CheckpointNeeds needs;
  if (ended()) needs.phase = CheckpointNeeds::Phase::kEnded;
  needs.kept = {Version(LengthOf(definition().plan()).rounds), Version(CurrentTarget().version())};
  const EvaluationRecord* const best = evaluations_.BestToKeep();
  if (best != nullptr) needs.kept.insert(Version(best->version()));
  return needs;
}

// Not beyond the version of the next verdict.
Version JobRun::RestoreLimit() const {
  return state_ == JOB_STATE_TESTING ? completion_.kept() : Version(CurrentTarget().version());
}

ViewInputs JobRun::PlannerInputs(absl::Time now) const {
  ViewInputs inputs;
  inputs.nodes = roll_call_.PlannedNodes(now);
  if (!context_.watch.AllWell()) {
    inputs.cut = context_.watch.CutPairs();
    inputs.cut_texts = context_.watch.Cuts(context_.members);
  }
  inputs.current = &view();
  inputs.restore_wanted = rollout_.restore_wanted();
  inputs.renew_wanted = rollout_.renew_wanted();
  inputs.restore = checkpoints_.NextRestore(RestoreLimit());
  inputs.training = TrainingId(view().training_id());
  if (!rollout_.has_view()) inputs.training = NewTrainingId(definition(), TrainingId(0), now);
  inputs.job = &definition();
  inputs.max_block_elements = context_.options.max_block_elements;
  return inputs;
}

StallEvidence JobRun::Evidence() const {
  return {context_,     definition_, derivation_, roll_call_, rollout_,       evaluations_,
          checkpoints_, completion_, state_,      placed_,    CurrentTarget()};
}

}  // namespace shoal::scheduler
