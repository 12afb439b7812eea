#include "scheduler/job_run.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/blocks.h"
#include "common/job_spec.h"
#include "common/metrics.h"
#include "common/status.h"
#include "scheduler/placement.h"

namespace shoal {
namespace {

// How often in a row a restore point may fail to load, or the result's checkpoint to be written, before the
// job fails.
constexpr uint32_t kMaxAttempts = 3;

bool IsOver(JobState state) {
  return state == JOB_STATE_COMPLETED || state == JOB_STATE_FAILED || state == JOB_STATE_CANCELLED;
}

std::string TargetKey(Version version, EvaluationSet set) { return absl::StrCat(version.value(), "/", set); }

std::string Names(const std::vector<NodeRef>& nodes) {
  return absl::StrJoin(nodes, ", ",
                       [](std::string* out, const NodeRef& node) { absl::StrAppend(out, node.name()); });
}

std::string Count(uint64_t n, const char* what) { return absl::StrCat(n, " ", what, n == 1 ? "" : "s"); }

}  // namespace

JobRun::JobRun(const SchedulerOptions& options, const Membership& members, Outbox* out,
               JobDefinition definition)
    : options_(options), members_(members), out_(out), definition_(std::move(definition)) {}

void JobRun::Create(absl::Time now, const std::optional<ResumePoint>& resume) {
  out_->Save(kJobTable, RecordKey(definition_.job()), definition_);
  state_.set_next_sequence(1);
  if (resume) {
    for (const ResumePoint::Checkpoint& other : resume->others) {
      StoredCheckpoint checkpoint;
      checkpoint.set_version(other.version.value());
      checkpoint.set_directory(other.directory);
      checkpoint.set_foreign(true);
      AddCheckpoint(std::move(checkpoint), &state_);
    }
    for (const EvaluationRecord& evaluation : resume->evaluations) {
      evaluations_.push_back(evaluation);
      SaveEvaluation(evaluations_.size() - 1);
    }
    state_.set_recorded_version(resume->version.value());
  }
  SetState(now, JOB_STATE_QUEUED, "waits for its turn");
  ForgetProgress(now);
  window_.Start(now, Version(state_.recorded_version()));
  SaveState();
}

void JobRun::Load(absl::Time now, JobStateRecord state, std::vector<EvaluationRecord> evaluations) {
  state_ = std::move(state);
  state_.SerializeToString(&saved_state_);
  evaluations_ = std::move(evaluations);
  // Nodes of the view hold the job until their lease says otherwise.
  for (const ShardAssignment& shard : state_.view().shards())
    nodes_[NodeId(shard.primary().node_id())].prepared = true;
  for (const SlotAssignment& slots : state_.view().slots())
    nodes_[NodeId(slots.worker().node_id())].prepared = true;
  StartRestorePoint(now);
  window_.Start(now, Version(state_.recorded_version()));
}

bool JobRun::ended() const { return IsOver(state_.state()); }

void JobRun::Cancel(absl::Time now) { End(now, JOB_STATE_CANCELLED, "cancelled by a user"); }

// ---- events ----

void JobRun::OnSessionOpened(NodeId node) {
  NodeState& state = nodes_[node];
  state.offered = false;
  state.told = 0;
  state.target.clear();
}

void JobRun::OnNodeLost(absl::Time now, const Member& member) {
  const bool matters = HasWork(member.id);
  nodes_.erase(member.id);
  if (state_.deriver() == member.id.value()) state_.set_deriver(0);
  if (!matters || ended()) return;
  const std::string how = member.leaving     ? "has left"
                          : member.connected ? "is silent: taken for dead"
                                             : "is lost (its connection broke)";
  Message(now, absl::StrCat(member.name, " ", how), LogLine::Level::kWarning);
}

void JobRun::OnPrepared(absl::Time now, const Member& member, const JobPrepared& report) {
  NodeState& node = nodes_[member.id];
  if (report.has_plan() && member.is_worker()) {
    if (!has_plan()) {
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

void JobRun::OnInstalled(absl::Time now, const Member& member, const ViewInstalled& report) {
  NodeState& node = nodes_[member.id];
  if (report.error().empty()) {
    node.installed = std::max(node.installed, report.view());
    return;
  }
  if (report.view() != state_.view().view()) return;
  Message(now,
          absl::StrCat(member.name, " could not load version ", state_.view().restore().version(), ": ",
                       report.error()),
          LogLine::Level::kError);
  state_.set_failed_restores(state_.failed_restores() + 1);
  if (state_.failed_restores() >= kMaxAttempts) return End(now, JOB_STATE_FAILED, report.error());
  WantRestore();
}

void JobRun::OnProgress(absl::Time now, const ShardProgress& report) {
  if (report.view() < restore_view_ || report.view() > state_.view().view() ||
      report.shard() >= shards_.size())
    return;
  state_.set_failed_restores(0);
  ShardState& shard = shards_[report.shard()];
  if (Version(report.version()) > shard.version) moved_ = now;
  shard.version = std::max(shard.version, Version(report.version()));
  shard.missing.assign(report.missing().begin(), report.missing().end());
  // One report may have rounds of several log intervals: they took equal shares of the time since the last.
  const absl::Time since = window_.newest();
  const int rounds = report.rounds_size();
  for (int i = 0; i < rounds; ++i) {
    const absl::Time at = since + (now - since) * (static_cast<double>(i + 1) / rounds);
    if (!window_.Add(at, report.rounds(i))) continue;
    if (IsDue(definition_.spec().log_every(), length(), window_.version())) RecordMetrics(at);
  }
  PublishProgress(now);
}

// Servers report in each session what they have written; much of it may be committed, and gone again. Each
// writes its versions in order, so that versions are complete in order too.
bool JobRun::WantsCheckpoint(Version version) const {
  if (FindCheckpoint(state_, version) != nullptr) return false;
  if (state_.state() == JOB_STATE_TESTING) {
    return version.value() == state_.kept_version() || version.value() == state_.trained_rounds();
  }
  return state_.checkpoints().empty() || state_.checkpoints().rbegin()->version() < version.value();
}

void JobRun::OnShardWritten(absl::Time now, const ShardWritten& report) {
  const Version version(report.version());
  if (report.restore_id() != state_.view().restore().restore_id() || !WantsCheckpoint(version)) return;
  if (!report.error().empty()) return WriteFailed(now, version, report.error());
  auto files = collector_.Add(report);
  if (!files) return;
  CommitCheckpointFiles commit;
  commit.job = id();
  commit.folder = definition_.checkpoint_dir();
  CheckpointManifest& manifest = commit.manifest;
  manifest.set_format(1);
  manifest.set_job(definition_.job());
  manifest.set_job_name(definition_.spec().name());
  manifest.set_spec_sha256(definition_.spec_sha256());
  manifest.set_version(report.version());
  for (uint64_t size : definition_.plan().group_sizes())
    manifest.set_parameters(manifest.parameters() + size);
  for (CheckpointShard& file : *files) *manifest.add_shards() = std::move(file);
  for (const EvaluationRecord& evaluation : evaluations_) {
    if (evaluation.set() == EVALUATION_SET_VALIDATION && evaluation.version() < report.version()) {
      *commit.history.add_evaluations() = evaluation;
    }
  }
  out_->Do(std::move(commit));
}

void JobRun::OnCheckpointCommitted(absl::Time now, Version version,
                                   const absl::StatusOr<std::string>& checkpoint) {
  if (!checkpoint.ok()) return WriteFailed(now, version, std::string(checkpoint.status().message()));
  StoredCheckpoint stored;
  stored.set_version(version.value());
  stored.set_directory(*checkpoint);
  if (!AddCheckpoint(std::move(stored), &state_)) return;
  // Rounds that need not be run again must not be forgotten either.
  if (window_.examples() > 0 && !ended()) RecordMetrics(now);
  JobEvent event;
  event.set_checkpoint(version.value());
  Emit(now, std::move(event));
}

void JobRun::WriteFailed(absl::Time now, Version version, const std::string& error) {
  if (collector_.failed(version) || ended()) return;
  collector_.SetFailed(version);
  Message(now, absl::StrCat("checkpoint of version ", version.value(), " could not be written: ", error),
          LogLine::Level::kError);
}

void JobRun::OnEvaluated(absl::Time now, const SlotEvaluated& report) {
  const Target target = CurrentTarget(0);
  if (target.evaluate() == EVALUATION_SET_NONE || report.set() != target.evaluate() ||
      report.version() != target.version() || report.slot() >= definition_.spec().train().slots()) {
    return;
  }
  const std::string key = TargetKey(Version(target.version()), target.evaluate());
  if (evaluated_target_ != key) evaluated_.clear();
  evaluated_target_ = key;
  if (evaluated_.emplace(report.slot(), report.statistics()).second) moved_ = now;
}

void JobRun::OnResult(absl::Time now, const absl::StatusOr<std::string>& parameters_sha256) {
  computing_result_ = false;
  if (state_.state() != JOB_STATE_TESTING) return;
  if (!parameters_sha256.ok()) {
    return End(now, JOB_STATE_FAILED,
               absl::StrCat("the result can't be read: ", parameters_sha256.status().message()));
  }
  JobResult& result = *state_.mutable_result();
  result.set_version(state_.kept_version());
  result.set_parameters_sha256(*parameters_sha256);
  result.set_checkpoint(FindCheckpoint(state_, Version(state_.kept_version()))->directory());
  result.set_train_seconds(static_cast<double>(state_.running_ms()) / 1000);
  result.set_rounds(state_.trained_rounds());
  result.set_examples(state_.examples());
  result.set_tokens(state_.tokens());
  result.set_stopped_early(state_.stopped_early());
  End(now, JOB_STATE_COMPLETED, "");
}

// ---- steps ----

void JobRun::Advance(absl::Time now) {
  if (!ended()) {
    CountRunningTime(now);
    if (state_.state() == JOB_STATE_QUEUED) SetState(now, JOB_STATE_PREPARING, "");
    if (!has_plan()) Derive(now);
    if (has_plan() && !ended()) {
      OfferPlan(now);
      Judge(now);
      Finish(now);
    }
    if (has_plan() && !ended()) {
      PlaceNodes(now);
      Announce();
      Prune();
    }
  }
  SaveState();
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

// ---- verdicts ----

bool JobRun::EvaluatesWhileTraining() const {
  return definition_.plan().validation_examples() > 0 && !definition_.spec().evaluation().every().never();
}

Version JobRun::LastEvaluated() const {
  uint64_t last = definition_.origin_version() > 0 ? definition_.origin_version() - 1 : 0;
  for (const EvaluationRecord& evaluation : evaluations_) {
    if (evaluation.set() == EVALUATION_SET_VALIDATION) last = std::max(last, evaluation.version());
  }
  return Version(last);
}

const EvaluationRecord* JobRun::Best() const {
  const EvaluationRecord* best = nullptr;
  for (const EvaluationRecord& evaluation : evaluations_) {
    if (evaluation.set() == EVALUATION_SET_VALIDATION && evaluation.best()) best = &evaluation;
  }
  return best;
}

bool JobRun::Tested() const {
  return std::any_of(evaluations_.begin(), evaluations_.end(), [](const EvaluationRecord& evaluation) {
    return evaluation.set() == EVALUATION_SET_TEST;
  });
}

Target JobRun::CurrentTarget(uint64_t restore_id) const {
  Target target;
  target.set_job(definition_.job());
  target.set_restore_id(restore_id);
  if (state_.state() == JOB_STATE_TESTING && !state_.past_kept()) {
    target.set_version(state_.kept_version());
    if (definition_.plan().test_examples() > 0 && !Tested()) target.set_evaluate(EVALUATION_SET_TEST);
    return target;
  }
  if (state_.state() == JOB_STATE_TESTING) {  // until the servers have gone back
    target.set_version(state_.trained_rounds());
    return target;
  }
  target.set_version(length().rounds);
  if (!EvaluatesWhileTraining()) return target;
  const auto next = NextDue(definition_.spec().evaluation().every(), length(), LastEvaluated());
  if (next) target.set_version(next->value());
  target.set_evaluate(EVALUATION_SET_VALIDATION);
  return target;
}

void JobRun::Judge(absl::Time now) {
  if (state_.view().view() == 0) return;
  const Target target = CurrentTarget(0);
  const Version version(target.version());
  // Servers report a version together with its rounds' statistics: with it, none of them is missing in the
  // metrics.
  if (LowestVersion() < version) return;
  if (target.evaluate() != EVALUATION_SET_NONE) {
    if (evaluated_target_ != TargetKey(version, target.evaluate())) return;
    if (evaluated_.size() < definition_.spec().train().slots()) return;
    RecordEvaluation(now, target);
    return;
  }
  if (state_.state() == JOB_STATE_RUNNING) EndTraining(now, version);
}

void JobRun::RecordEvaluation(absl::Time now, const Target& target) {
  const JobSpec& spec = definition_.spec();
  EvaluationRecord record;
  record.set_set(target.evaluate());
  record.set_version(target.version());
  auto slot = evaluated_.begin();
  *record.mutable_statistics() = slot->second;
  while (++slot != evaluated_.end()) AddStatistics(slot->second, record.mutable_statistics());
  evaluated_.clear();
  evaluated_target_.clear();
  record.set_loss(MeanLoss(record.statistics()));
  record.set_metric(MetricValue(spec.task(), spec.evaluation().metric(), record.statistics()));
  if (record.set() == EVALUATION_SET_VALIDATION && !std::isnan(record.metric())) {
    const EvaluationRecord* best = Best();
    record.set_best(best == nullptr ||
                    (HigherIsBetter(spec.evaluation().metric()) ? record.metric() > best->metric()
                                                                : record.metric() < best->metric()));
  }
  evaluations_.push_back(record);
  SaveEvaluation(evaluations_.size() - 1);
  JobEvent event;
  *event.mutable_evaluation() = record;
  Emit(now, std::move(event));
  if (record.set() != EVALUATION_SET_VALIDATION) return;

  uint32_t since_best = 0;
  for (const EvaluationRecord& evaluation : evaluations_) {
    if (evaluation.set() == EVALUATION_SET_VALIDATION) since_best = evaluation.best() ? 0 : since_best + 1;
  }
  const bool out_of_patience = spec.evaluation().patience() > 0 && since_best >= spec.evaluation().patience();
  if (out_of_patience || record.version() >= length().rounds) EndTraining(now, Version(record.version()));
}

void JobRun::EndTraining(absl::Time now, Version version) {
  if (window_.examples() > 0) RecordMetrics(now);
  state_.set_running_ms(state_.running_ms() + absl::ToInt64Milliseconds(ran_));
  ran_ = absl::ZeroDuration();
  const EvaluationRecord* best = definition_.spec().evaluation().keep_best() ? Best() : nullptr;
  state_.set_trained_unix_ms(absl::ToUnixMillis(now));
  state_.set_trained_rounds(version.value());
  state_.set_stopped_early(version.value() < length().rounds);
  state_.set_kept_version(best != nullptr ? best->version() : version.value());
  state_.set_past_kept(state_.kept_version() < version.value());
  SetState(now, JOB_STATE_TESTING, "");
}

void JobRun::Finish(absl::Time now) {
  if (state_.state() != JOB_STATE_TESTING) return;
  const Version kept(state_.kept_version());
  const StoredCheckpoint* checkpoint = FindCheckpoint(state_, kept);
  if (checkpoint == nullptr) {
    Explain(absl::StrCat("the checkpoint of version ", kept.value(), " is being written"));
    if (!collector_.failed(kept) || state_.restore_wanted()) return;
    state_.set_rewrites(state_.rewrites() + 1);
    if (state_.rewrites() >= kMaxAttempts) {
      return End(
          now, JOB_STATE_FAILED,
          absl::StrCat("the checkpoint of version ", kept.value(), ", the result, could not be written"));
    }
    return WantRestore();
  }
  const Version last(state_.trained_rounds());
  if (state_.past_kept() && FindCheckpoint(state_, last) == nullptr && !collector_.failed(last)) {
    // Once the servers have gone back, nobody could write it any more.
    return Explain(absl::StrCat("the checkpoint of version ", last.value(), ", the last, is being written"));
  }
  if (definition_.plan().test_examples() > 0 && !Tested()) {
    Explain(absl::StrCat("version ", kept.value(), " is evaluated on the test examples"));
    if (state_.past_kept()) WantRestore();
    return;
  }
  if (computing_result_) return;
  computing_result_ = true;
  Explain("the result is read");
  out_->Do(ComputeResult{id(), kept, checkpoint->directory()});
}

// ---- views ----

bool JobRun::HasWork(NodeId node) const {
  const auto is = [&](const NodeRef& ref) { return ref.node_id() == node.value(); };
  return state_.deriver() == node.value() ||
         std::any_of(state_.view().shards().begin(), state_.view().shards().end(),
                     [&](const ShardAssignment& shard) { return is(shard.primary()); }) ||
         std::any_of(state_.view().slots().begin(), state_.view().slots().end(),
                     [&](const SlotAssignment& slots) { return is(slots.worker()); });
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

bool JobRun::PrimariesUsable() const {
  const std::vector<NodeRef> usable = Usable(NODE_ROLE_SERVER);
  return std::all_of(
      state_.view().shards().begin(), state_.view().shards().end(), [&](const ShardAssignment& shard) {
        return std::any_of(usable.begin(), usable.end(),
                           [&](const NodeRef& node) { return node.node_id() == shard.primary().node_id(); });
      });
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

RestorePoint JobRun::NextRestore() const {
  RestorePoint restore;
  restore.set_restore_id(state_.view().restore().restore_id() + 1);
  const Version limit(state_.state() == JOB_STATE_TESTING ? state_.kept_version() : length().rounds);
  if (definition_.origin_version() <= limit.value()) {  // else the best version is one of the training before
    restore.set_version(definition_.origin_version());
    restore.set_checkpoint(definition_.origin_checkpoint());
  }
  const StoredCheckpoint* const newest = NewestCheckpoint(state_, limit);
  if (newest != nullptr && newest->version() >= restore.version()) {
    restore.set_version(newest->version());
    restore.set_checkpoint(newest->directory());
  }
  return restore;
}

void JobRun::PlaceNodes(absl::Time now) {
  placed_ = false;
  const View& current = state_.view();
  const std::vector<NodeRef> servers = Usable(NODE_ROLE_SERVER);
  const std::vector<NodeRef> workers = Usable(NODE_ROLE_WORKER);
  if (current.view() == 0 && !Settled(now, servers.size(), workers.size())) return;
  if (workers.empty()) return Explain(absl::StrCat("waits for a worker", Refusals()));

  View next;
  next.set_job(definition_.job());
  next.set_view(current.view() + 1);
  for (SlotAssignment& slots : AssignSlots(definition_.spec().train().slots(), workers))
    *next.add_slots() = std::move(slots);
  const bool same_state = current.view() > 0 && !state_.restore_wanted() && PrimariesUsable();
  if (same_state) {
    *next.mutable_shards() = current.shards();
    *next.mutable_restore() = current.restore();
    View unchanged = next;
    unchanged.set_view(current.view());
    placed_ = true;
    if (unchanged.SerializeAsString() == current.SerializeAsString()) return;
    return WriteView(now, std::move(next));
  }
  if (servers.empty()) return Explain(absl::StrCat("waits for a server", Refusals()));
  const std::vector<uint64_t> sizes(definition_.plan().group_sizes().begin(),
                                    definition_.plan().group_sizes().end());
  const uint64_t blocks = CutBlocks(sizes, options_.max_block_elements).size();
  for (ShardAssignment& shard : AssignShards(blocks, servers)) *next.add_shards() = std::move(shard);
  *next.mutable_restore() = NextRestore();
  state_.set_restore_wanted(false);
  if (state_.state() == JOB_STATE_TESTING) state_.set_past_kept(false);
  placed_ = true;
  WriteView(now, std::move(next));
  StartRestorePoint(now);
}

void JobRun::WriteView(absl::Time now, View view) {
  const bool first = view.view() == 1;
  const bool restores = first || view.restore().restore_id() != state_.view().restore().restore_id();
  std::vector<NodeRef> servers, workers;
  for (const ShardAssignment& shard : view.shards()) servers.push_back(shard.primary());
  for (const SlotAssignment& slots : view.slots()) workers.push_back(slots.worker());
  std::string from;
  if (restores) {
    from = absl::StrCat(first ? "; starts" : "; goes back to", first ? " from " : " ",
                        view.restore().checkpoint().empty()
                            ? "the initial parameters"
                            : absl::StrCat("the checkpoint of version ", view.restore().version()));
  }
  *state_.mutable_view() = std::move(view);
  if (first) {
    state_.set_started_unix_ms(absl::ToUnixMillis(now));
    window_.Start(now, Version(state_.recorded_version()));
    SetState(now, JOB_STATE_RUNNING, "");
  }
  Explain("");
  Message(now, absl::StrCat("view ", state_.view().view(), ": shards on ", Names(servers), "; slots on ",
                            Names(workers), from));
}

void JobRun::StartRestorePoint(absl::Time now) {
  restore_view_ = state_.view().view();
  collector_.Reset(state_.view().restore().restore_id(), state_.view().shards_size());
  ForgetProgress(now);
}

void JobRun::ForgetProgress(absl::Time now) {
  shards_.assign(state_.view().shards_size(), ShardState{Version(state_.view().restore().version()), {}});
  moved_ = now;
}

Version JobRun::LowestVersion() const {
  if (shards_.empty()) return Version(definition_.origin_version());
  Version lowest = shards_.front().version;
  for (const ShardState& shard : shards_) lowest = std::min(lowest, shard.version);
  return lowest;
}

// Servers first; workers when all of them hold the view.
void JobRun::Announce() {
  const View& current = state_.view();
  if (current.view() == 0) return;
  Directive view;
  *view.mutable_view() = current;
  *view.mutable_view()->mutable_target() = CurrentTarget(current.restore().restore_id());
  bool installed = true;
  for (const ShardAssignment& shard : current.shards()) {
    NodeState& node = nodes_[NodeId(shard.primary().node_id())];
    if (node.installed == current.view()) continue;
    installed = false;
    const Member* const member = members_.Find(NodeId(shard.primary().node_id()));
    if (member == nullptr || !member->connected || node.told == current.view()) continue;
    node.told = current.view();
    out_->Send(member->id, view);
  }
  if (!installed) return;
  Directive target;
  *target.mutable_target() = view.view().target();
  const std::string text = target.SerializeAsString();
  for (auto& [id, node] : nodes_) {
    const Member* const member = members_.Find(id);
    if (member == nullptr || !member->is_worker() || !member->connected || !node.prepared) continue;
    if (node.told != current.view()) {
      out_->Send(id, view);
    } else if (node.target != text) {
      out_->Send(id, target);
    }
    node.told = current.view();
    node.target = text;
  }
}

// ---- records ----

void JobRun::Prune() {
  std::set<Version> needed = {Version(state_.view().restore().version())};
  if (state_.state() == JOB_STATE_TESTING) needed.insert(Version(state_.kept_version()));
  const EvaluationRecord* best = definition_.spec().evaluation().keep_best() ? Best() : nullptr;
  if (best != nullptr) needed.insert(Version(best->version()));
  // The verdict on the newest may still come, and make it the best.
  for (const StoredCheckpoint& gone : TakeUnneeded(definition_.spec().checkpoint().keep(), needed, &state_)) {
    if (!gone.foreign())
      out_->Do(DeleteCheckpointFiles{definition_.checkpoint_dir(), Version(gone.version())});
  }
}

void JobRun::RecordMetrics(absl::Time now) {
  JobEvent event;
  *event.mutable_metric() = window_.Record(now, length().rounds_per_epoch);
  *state_.mutable_last_metric() = event.metric();
  state_.set_recorded_version(window_.version().value());
  state_.set_examples(state_.examples() + window_.examples());
  state_.set_tokens(state_.tokens() + window_.tokens());
  state_.set_running_ms(state_.running_ms() + absl::ToInt64Milliseconds(ran_));
  ran_ -= absl::Milliseconds(absl::ToInt64Milliseconds(ran_));
  window_.Start(now, window_.version());
  Emit(now, std::move(event));
}

void JobRun::PublishProgress(absl::Time now) {
  if (window_.examples() == 0 || now - published_ < options_.progress_every) return;
  published_ = now;
  JobEvent event;
  *event.mutable_progress() = window_.Progress(now, length().rounds_per_epoch);
  event.set_unix_ms(absl::ToUnixMillis(now));
  out_->Do(PublishEvent{id(), std::move(event)});
}

// Between two calls the job ran if all its nodes were there. Kept in memory until something is stored anyway,
// so that no store is written for a passing moment.
void JobRun::CountRunningTime(absl::Time now) {
  if (placed_ && state_.state() == JOB_STATE_RUNNING) ran_ += now - counted_;
  counted_ = now;
}

void JobRun::End(absl::Time now, JobState state, const std::string& reason) {
  if (ended()) return;
  state_.set_ended_unix_ms(absl::ToUnixMillis(now));
  if (state_.trained_unix_ms() == 0) state_.set_trained_rounds(LowestVersion().value());
  state_.set_deriver(0);
  SetState(now, state, reason);
  Directive close;
  close.mutable_close_job()->set_job(definition_.job());
  for (const auto& [id, node] : nodes_) out_->Send(id, close);
  nodes_.clear();
  out_->Do(DeletePartialFiles{definition_.checkpoint_dir()});
  SaveState();
}

void JobRun::SetState(absl::Time now, JobState state, const std::string& reason) {
  state_.set_state(state);
  Explain(reason);
  JobEvent event;
  *event.mutable_state() = Describe(/*full=*/false);
  Emit(now, std::move(event));
  const std::string line = absl::StrCat("job ", definition_.job(), " (", definition_.spec().name(), ") is ",
                                        JobState_Name(state).substr(10), reason.empty() ? "" : ": ", reason);
  out_->Do(LogLine{state == JOB_STATE_FAILED ? LogLine::Level::kError : LogLine::Level::kInfo, line});
}

void JobRun::Emit(absl::Time now, JobEvent event) {
  event.set_sequence(state_.next_sequence());
  event.set_unix_ms(absl::ToUnixMillis(now));
  state_.set_next_sequence(state_.next_sequence() + 1);
  out_->Save(kEventTable, RecordKey(definition_.job(), event.sequence()), event);
  out_->Do(PublishEvent{id(), std::move(event)});
}

void JobRun::Message(absl::Time now, const std::string& text, LogLine::Level level) {
  JobEvent event;
  event.set_message(text);
  Emit(now, std::move(event));
  out_->Do(LogLine{level, absl::StrCat("job ", definition_.job(), ": ", text)});
}

void JobRun::SaveState() {
  std::string now = state_.SerializeAsString();
  if (now == saved_state_) return;
  saved_state_ = std::move(now);
  out_->Save(kStateTable, RecordKey(definition_.job()), state_);
}

void JobRun::SaveEvaluation(size_t index) {
  out_->Save(kEvaluationTable, RecordKey(definition_.job(), index), evaluations_[index]);
}

// ---- for people ----

Job JobRun::Describe(bool full) const {
  Job job;
  job.set_job(definition_.job());
  job.set_name(definition_.spec().name());
  job.set_state(state_.state());
  job.set_reason(state_.reason());
  job.set_submitted_unix_ms(definition_.submitted_unix_ms());
  job.set_started_unix_ms(state_.started_unix_ms());
  job.set_ended_unix_ms(state_.ended_unix_ms());
  job.set_version(ended() ? state_.trained_rounds() : LowestVersion().value());
  job.set_rounds(definition_.plan().rounds());
  job.set_loss(state_.last_metric().loss());
  job.set_examples_per_second(state_.last_metric().examples_per_second());
  for (const EvaluationRecord& evaluation : evaluations_) *job.add_evaluations() = evaluation;
  if (state_.has_result()) *job.mutable_result() = state_.result();
  job.set_checkpoint_dir(definition_.checkpoint_dir());
  for (const StoredCheckpoint& checkpoint : state_.checkpoints()) job.add_checkpoints(checkpoint.version());
  if (!full) return job;
  *job.mutable_spec() = definition_.spec();
  if (has_plan()) *job.mutable_plan() = definition_.plan();
  if (state_.view().view() > 0) *job.mutable_view() = state_.view();
  return job;
}

std::string JobRun::DetailOf(const Member& member) const {
  const auto found = nodes_.find(member.id);
  if (found != nodes_.end() && !found->second.refused.empty()) {
    return absl::StrCat("refused job ", definition_.job(), ": ", found->second.refused);
  }
  if (state_.deriver() == member.id.value()) return "reads the data";
  for (int i = 0; i < state_.view().shards_size(); ++i) {
    if (state_.view().shards(i).primary().node_id() == member.id.value()) {
      return absl::StrCat("shard ", i, " of ", state_.view().shards_size());
    }
  }
  for (const SlotAssignment& slots : state_.view().slots()) {
    if (slots.worker().node_id() == member.id.value())
      return absl::StrCat("slots [", slots.slot_begin(), ",", slots.slot_end(), ")");
  }
  if (found != nodes_.end() && found->second.offered && !found->second.prepared) return "prepares";
  return "";
}

// What the lowest version still waits for: slots that some shard misses, or that are not evaluated yet.
bool JobRun::Misses(SlotRange slots, const Target& target) const {
  if (LowestVersion().value() >= target.version()) {
    for (uint32_t slot = slots.begin; slot < slots.end; ++slot) {
      if (target.evaluate() != EVALUATION_SET_NONE && evaluated_.count(slot) == 0) return true;
    }
    return false;
  }
  return std::any_of(shards_.begin(), shards_.end(), [&](const ShardState& shard) {
    return std::any_of(shard.missing.begin(), shard.missing.end(), [&](const MissingSlots& missing) {
      return slots.Overlaps({missing.slot_begin(), missing.slot_end()});
    });
  });
}

void JobRun::AddStalls(absl::Time now, std::vector<std::string>* stalls) const {
  if (ended()) return;
  if (state_.view().view() == 0 || now - moved_ < options_.stall_after) {
    if (!state_.reason().empty())
      stalls->push_back(absl::StrCat("job ", definition_.job(), ": ", state_.reason()));
    return;
  }
  const Target target = CurrentTarget(0);
  const Version version = LowestVersion();
  const bool evaluates = version.value() >= target.version() && target.evaluate() != EVALUATION_SET_NONE;
  const std::string where = absl::StrCat(
      "job ", definition_.job(), evaluates ? ", evaluation of version " : ", round ", version.value(), ": ");
  const std::string since =
      absl::StrFormat("nothing has moved for %.1f s", absl::ToDoubleSeconds(now - moved_));
  if (!state_.reason().empty()) return stalls->push_back(absl::StrCat(where, state_.reason(), "; ", since));
  const size_t before = stalls->size();
  for (const SlotAssignment& slots : state_.view().slots()) {
    const Member* const member = members_.Find(NodeId(slots.worker().node_id()));
    if (member == nullptr || !Misses({slots.slot_begin(), slots.slot_end()}, target)) continue;
    stalls->push_back(absl::StrCat(
        where, "slots [", slots.slot_begin(), ",", slots.slot_end(), ") of ", member->name,
        absl::StrFormat(", silent for %.1f s; ", absl::ToDoubleSeconds(now - member->last_seen)), since));
  }
  if (stalls->size() == before) stalls->push_back(absl::StrCat(where, since));
}

}  // namespace shoal
