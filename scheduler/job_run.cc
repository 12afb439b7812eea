#include "scheduler/job_run.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace shoal::scheduler {
namespace {

bool IsOver(JobState state) {
  return state == JOB_STATE_COMPLETED || state == JOB_STATE_FAILED || state == JOB_STATE_CANCELLED;
}

}  // namespace

JobRun::JobRun(const SchedulerOptions& options, const Membership& members, const ProgressWatch& watch,
               Outbox* out, JobDefinition definition)
    : options_(options),
      members_(members),
      watch_(watch),
      out_(out),
      definition_(std::move(definition)),
      last_resort_(options.watch) {}

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
    state_.set_recorded_version(resume->version.value());
  }
  SetState(now, JOB_STATE_QUEUED, "waits for its turn");
  if (resume) Resume(now, *resume);
  ForgetProgress(now);
  window_.Start(now, Version(state_.recorded_version()));
  SaveState();
}

void JobRun::Resume(absl::Time now, const ResumePoint& resume) {
  for (const ResumePoint::Checkpoint& damaged : resume.damaged) {
    out_->Do(CheckCheckpointFiles{id(), damaged.version, damaged.directory});
    Message(now,
            absl::StrCat("the job goes on without the checkpoint ", damaged.directory, ": ", damaged.problem),
            LogLine::Level::kWarning);
  }
  if (resume.directory.empty()) {
    return Message(now, "no checkpoint that is whole is left: the job starts from the initial parameters",
                   LogLine::Level::kWarning);
  }
  if (resume.plan_sha256.empty()) {
    Message(now,
            absl::StrCat(resume.directory,
                         " is of format 1 and does not say what data it was trained on: "
                         "whether they are this job's can't be checked"),
            LogLine::Level::kWarning);
  }
  JudgeAnew(resume);
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
  if (state_.has_window()) window_.Load(now, state_.window());
}

bool JobRun::ended() const { return IsOver(state_.state()); }

void JobRun::Cancel(absl::Time now) { End(now, JOB_STATE_CANCELLED, "cancelled by a user"); }

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
  if (rederiver_ == member.id) rederiver_ = NodeId(0);
  if (!matters || ended()) return;
  const std::string how = member.leaving     ? "has left"
                          : member.connected ? "is silent: taken for dead"
                                             : "is lost (its connection broke)";
  Message(now, absl::StrCat(member.name, " ", how), LogLine::Level::kWarning);
}

void JobRun::Advance(absl::Time now) {
  if (!ended()) {
    CountRunningTime(now);
    if (state_.state() == JOB_STATE_QUEUED) SetState(now, JOB_STATE_PREPARING, "");
    DeriveAnewByMajority(now);
    if (!has_plan()) Derive(now);
    if (has_plan() && !ended()) {
      RetryCommits(now);
      Rederive(now);
      OfferPlan(now);
      Judge(now);
      Finish(now);
    }
    if (!ended()) WatchFiles(now);
    if (!ended()) HelpOn(now);
    if (has_plan() && !ended()) {
      PlaceNodes(now);
      Announce();
      Prune();
    }
  }
  SaveState();
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
  if (state_.view().view() > 0) out_->Do(DeletePartialFiles{definition_.checkpoint_dir(), std::nullopt});
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
  event.set_message(ToValidUtf8(text));
  Emit(now, std::move(event));
  out_->Do(LogLine{level, absl::StrCat("job ", definition_.job(), ": ", text)});
}

void JobRun::Intervene(absl::Time now, const std::string& why) {
  state_.set_interventions(state_.interventions() + 1);
  Tell(now, why);
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

}  // namespace shoal::scheduler
