#include "scheduler/scheduler_core.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/base/release.h"
#include "common/base/sha256.h"
#include "common/base/status.h"
#include "common/base/utf8.h"
#include "common/job/job_print.h"
#include "common/job/job_spec.h"
#include "common/protocol/queue_length.h"
#include "common/protocol/same_message.h"
#include "common/storage/file.h"

namespace shoal::scheduler {
namespace {

constexpr char kCounterKey[] = "ids";
constexpr size_t kMaxTextBytes = 4096;
constexpr size_t kMaxSpecBytes = 1 << 20;

absl::Status Damaged(const StoredRecord& record) {
  return absl::DataLossError(
      absl::StrCat("the store's record ", record.key, " of table ", record.table, " can't be read"));
}

template <typename Message>
absl::Status Parse(const StoredRecord& record, Message* message) {
  return message->ParseFromString(record.value) ? absl::OkStatus() : Damaged(record);
}

// Returns the first number of the record's key (RecordKey).
absl::StatusOr<uint64_t> IdOf(const StoredRecord& record) {
  constexpr size_t kDigits = 16;
  uint64_t id = 0;
  const bool whole =
      record.key.size() == kDigits || (record.key.size() == 2 * kDigits + 1 && record.key[kDigits] == '.');
  if (!whole || !absl::SimpleHexAtoi(absl::string_view(record.key).substr(0, kDigits), &id))
    return Damaged(record);
  return id;
}

absl::Status CheckKey(const StoredRecord& record, uint64_t id) {
  return id > 0 && id < ~uint64_t{0} && record.key == RecordKey(id) ? absl::OkStatus() : Damaged(record);
}

absl::Status LeaseOver(NodeId node) {
  return absl::FailedPreconditionError(
      absl::StrCat("node ", node.value(), " is unknown here, or its lease has ended: join again"));
}

// For a job that was to be longer.
const char* LengthHint(absl::string_view differences) {
  if (!absl::StrContains(differences, "train.epochs") && !absl::StrContains(differences, "train.rounds"))
    return "";
  return " (a training can get another length only if nothing else differs and its learning rate does not "
         "depend on the length: schedule.type constant or inverse_sqrt)";
}

absl::Status CheckNumerics(const JobDefinition& job, const ResumePoint& resume) {
  if (resume.directory.empty() || resume.spec_sha256 == job.spec_sha256()) return absl::OkStatus();
  const std::string ours = NumericsText(job.spec());
  if (!resume.numerics_text.empty() && DifferOnlyInLength(ours, resume.numerics_text))
    return absl::OkStatus();
  const std::string differences =
      resume.numerics_text.empty() ? absl::StrCat("model, data, optimizer, schedule, seed or slots differ (",
                                                  resume.spec_sha256.substr(0, 12),
                                                  ", this job's: ", job.spec_sha256().substr(0, 12), ")")
                                   : JobDifferences(ours, resume.numerics_text);
  return absl::FailedPreconditionError(absl::StrCat(
      "resume_from: ", resume.directory, " belongs to another job: ", differences, LengthHint(differences)));
}

}  // namespace

SchedulerCore::SchedulerCore(SchedulerOptions options)
    : options_(std::move(options)), members_(options_), watch_(options_.watch) {
  counters_.set_next_node(1);
  counters_.set_next_job(1);
}

// ---- store ----

absl::Status SchedulerCore::Load(absl::Time now, const std::vector<StoredRecord>& records) {
  awake_ = now;
  std::map<uint64_t, JobStateRecord> states;
  std::map<uint64_t, std::map<std::string, EvaluationRecord>> evaluations;
  for (const StoredRecord& record : records) {
    if (record.table == kCounterTable) {
      SHOAL_RETURN_IF_ERROR(Parse(record, &counters_));
    } else if (record.table == kNodeTable) {
      NodeRecord node;
      SHOAL_RETURN_IF_ERROR(Parse(record, &node));
      SHOAL_RETURN_IF_ERROR(CheckKey(record, node.node_id()));
      members_.Load(now, node);
    } else if (record.table == kJobTable) {
      JobDefinition definition;
      SHOAL_RETURN_IF_ERROR(Parse(record, &definition));
      SHOAL_RETURN_IF_ERROR(CheckKey(record, definition.job()));
      const JobId id(definition.job());
      jobs_[id] = std::make_unique<JobRun>(options_, members_, watch_, &out_, std::move(definition));
    } else if (record.table == kStateTable) {
      SHOAL_ASSIGN_OR_RETURN(const uint64_t job, IdOf(record));
      SHOAL_RETURN_IF_ERROR(Parse(record, &states[job]));
    } else if (record.table == kEvaluationTable) {
      SHOAL_ASSIGN_OR_RETURN(const uint64_t job, IdOf(record));
      SHOAL_RETURN_IF_ERROR(Parse(record, &evaluations[job][record.key]));
    }
  }
  for (auto& [id, job] : jobs_) {
    if (states.count(id.value()) == 0)
      return absl::DataLossError(
          absl::StrCat("the store's record of the state of job ", id.value(), " is lost"));
    std::vector<EvaluationRecord> in_order;
    for (auto& [key, evaluation] : evaluations[id.value()]) in_order.push_back(std::move(evaluation));
    job->Load(now, states[id.value()], std::move(in_order));
  }
  // Ids are never reused, whatever the counters say.
  if (!members_.all().empty())
    counters_.set_next_node(std::max(counters_.next_node(), members_.all().rbegin()->first.value() + 1));
  if (!jobs_.empty())
    counters_.set_next_job(std::max(counters_.next_job(), jobs_.rbegin()->first.value() + 1));
  if (counters_.cluster_id().empty() && !options_.new_cluster_id.empty()) {
    counters_.set_cluster_id(options_.new_cluster_id);
    SaveCounters();
    out_.Info(absl::StrCat("A new store: this is cluster ", counters_.cluster_id()));
  }
  Advance(now);
  return absl::OkStatus();
}

void SchedulerCore::SaveCounters() { out_.Save(kCounterTable, kCounterKey, counters_); }

void SchedulerCore::NoteTime(absl::Time now) {
  const absl::Duration asleep = now - awake_;
  if (asleep > options_.heartbeat) {
    out_.Warn(absl::StrCat("the scheduler was suspended for ", absl::FormatDuration(asleep),
                           ": no lease ends because of that"));
    members_.Awake(now, asleep);
    for (auto& [id, job] : jobs_) job->Awake(asleep);
  }
  awake_ = now;
}

// ---- nodes ----

absl::StatusOr<JoinResponse> SchedulerCore::Join(absl::Time now, const JoinRequest& request) {
  NoteTime(now);
  EndLeases(now);
  const Member* member = members_.FindProcess(request);
  if (member != nullptr && member->opened) {
    // It has dropped what it held under its former id, so nothing more can be expected of that node.
    TakeOff(now, member->id, "its process has joined again");
    Advance(now);
    member = nullptr;
  }
  if (member == nullptr) {
    const NodeId id(counters_.next_node());
    SHOAL_ASSIGN_OR_RETURN(member, members_.Join(now, id, request, &out_));
    counters_.set_next_node(id.value() + 1);
    SaveCounters();
  }
  JoinResponse response;
  response.set_node_id(member->id.value());
  response.set_name(member->name);
  response.set_cluster_id(counters_.cluster_id());
  response.set_heartbeat_ms(static_cast<uint32_t>(absl::ToInt64Milliseconds(options_.heartbeat)));
  response.set_lease_ms(static_cast<uint32_t>(absl::ToInt64Milliseconds(options_.lease)));
  return response;
}

absl::Status SchedulerCore::CheckHello(absl::Time now, const Member* member, const Hello& hello) const {
  const JoinRequest& join = hello.join();
  if (join.cluster_id() != counters_.cluster_id()) {
    return absl::FailedPreconditionError(absl::StrCat("node ", hello.node_id(), " belongs to cluster \"",
                                                      ToQuoted(join.cluster_id()), "\", this is cluster \"",
                                                      counters_.cluster_id(), "\": join again"));
  }
  if (join.protocol_version() != kProtocolVersion)
    return absl::FailedPreconditionError("a different protocol version");
  if (member == nullptr || member->expires <= now) return LeaseOver(NodeId(hello.node_id()));
  if (join.role() != member->join.role() || join.name() != member->join.name() ||
      join.incarnation() != member->join.incarnation()) {
    return absl::FailedPreconditionError(
        absl::StrCat("node ", hello.node_id(), " is ", member->name, ", another process: join again"));
  }
  return absl::OkStatus();
}

absl::Status SchedulerCore::SessionOpened(absl::Time now, NodeId node, const Hello& hello) {
  NoteTime(now);
  Member* const member = members_.Find(node);
  SHOAL_RETURN_IF_ERROR(CheckHello(now, member, hello));
  members_.SessionOpened(now, member);
  out_.Info(
      absl::StrCat(member->name, " (node ", node.value(), ", ", member->join.address(), ") has a session"));
  if (JobRun* const job = Active()) job->OnSessionOpened(node);
  Advance(now);
  return absl::OkStatus();
}

void SchedulerCore::SessionBroken(absl::Time now, NodeId node) {
  NoteTime(now);
  Member* const member = members_.Find(node);
  if (member == nullptr || !member->connected) return;
  out_.Info(absl::StrCat(member->name, "'s session broke"));
  members_.SessionBroken(now, member);
}

absl::Status SchedulerCore::Report(absl::Time now, NodeId node, const NodeReport& report) {
  NoteTime(now);
  Member* const member = members_.Find(node);
  if (member == nullptr || member->expires <= now) return LeaseOver(node);
  members_.Seen(now, member);
  if (report.has_heartbeat()) {
    watch_.OnHeartbeat(now, node, report.heartbeat(), members_);
    return absl::OkStatus();
  }
  if (report.has_leaving()) {
    members_.Leaving(member, &out_);
    Advance(now);
    // Whoever could take over has done so; if nobody can, waiting would not help.
    Directive directive;
    directive.mutable_released();
    out_.Send(node, std::move(directive));
    return absl::OkStatus();
  }
  SHOAL_RETURN_IF_ERROR(Dispatch(now, member, report));
  Advance(now);
  return absl::OkStatus();
}

absl::Status SchedulerCore::Dispatch(absl::Time now, Member* member, const NodeReport& report) {
  switch (report.report_case()) {
    case NodeReport::kJobPrepared:
      if (JobRun* const job = RunningJob(member->id, report.job_prepared().job())) {
        job->OnPrepared(now, *member, report.job_prepared());
      }
      return absl::OkStatus();
    case NodeReport::kJobRefused:
      if (JobRun* const job = RunningJob(member->id, report.job_refused().job())) {
        job->OnRefused(now, *member, report.job_refused());
      }
      return absl::OkStatus();
    case NodeReport::kViewInstalled:
      if (JobRun* const job = TrainedJob(member->id, report.view_installed().job(), report)) {
        job->OnInstalled(now, *member, report.view_installed());
      }
      return absl::OkStatus();
    case NodeReport::kShardProgress:
      if (JobRun* const job = TrainedJob(member->id, report.shard_progress().job(), report))
        job->OnProgress(now, *member, report.shard_progress());
      return absl::OkStatus();
    case NodeReport::kShardWritten:
      if (JobRun* const job = TrainedJob(member->id, report.shard_written().job(), report))
        job->OnShardWritten(now, *member, report.shard_written());
      return absl::OkStatus();
    case NodeReport::kSlotEvaluated:
      if (JobRun* const job = TrainedJob(member->id, report.slot_evaluated().job(), report))
        job->OnEvaluated(now, *member, report.slot_evaluated());
      return absl::OkStatus();
    case NodeReport::kSlotFailed:
      if (JobRun* const job = TrainedJob(member->id, report.slot_failed().job(), report))
        job->OnSlotFailed(now, *member, report.slot_failed());
      return absl::OkStatus();
    default:
      return absl::InvalidArgumentError("expected a report; Hello must come first and only once");
  }
}

JobRun* SchedulerCore::RunningJob(NodeId node, uint64_t job) {
  JobRun* const active = Active();
  if (active != nullptr && active->id().value() == job) return active;
  Directive close;
  close.mutable_close_job()->set_job(job);
  out_.Send(node, std::move(close));
  return nullptr;
}

JobRun* SchedulerCore::TrainedJob(NodeId node, uint64_t job, const NodeReport& report) {
  JobRun* const running = RunningJob(node, job);
  return running != nullptr && running->training() == TrainingId(report.training_id()) ? running : nullptr;
}

void SchedulerCore::Tick(absl::Time now) {
  NoteTime(now);
  EndLeases(now);
  for (const std::string& news : watch_.Advance(now, members_)) {
    if (JobRun* const job = Active()) {
      job->Tell(now, news);
    } else {
      out_.Warn(news);
    }
  }
  Advance(now);
}

// Its lease continues: the node has done nothing wrong.
void SchedulerCore::RenewSession(NodeId node) {
  Member* const member = members_.Find(node);
  if (member == nullptr || !member->connected) return;
  members_.SessionEnded(member);
  out_.Do(EndSession{node, absl::UnavailableError("the job makes no progress: open a new session and report "
                                                  "again, since a message may be lost")});
}

void SchedulerCore::EndLeases(absl::Time now) {
  for (NodeId node : members_.Expired(now)) TakeOff(now, node, "its lease has ended");
}

void SchedulerCore::TakeOff(absl::Time now, NodeId node, const std::string& why) {
  const Member member = *members_.Find(node);
  members_.Remove(node, &out_);
  watch_.Forget(node);
  out_.Warn(absl::StrCat(member.name, " (node ", node.value(), ") is removed: ", why));
  out_.Do(EndSession{node, LeaseOver(node)});
  if (JobRun* const job = Active()) job->OnNodeLost(now, member);
}

// ---- jobs ----

JobRun* SchedulerCore::Find(JobId job) {
  const auto found = jobs_.find(job);
  return found == jobs_.end() ? nullptr : found->second.get();
}

const JobRun* SchedulerCore::Active() const {
  for (const auto& [id, job] : jobs_) {
    if (!job->ended()) return job.get();
  }
  return nullptr;
}

JobRun* SchedulerCore::Active() { return const_cast<JobRun*>(std::as_const(*this).Active()); }

void SchedulerCore::Advance(absl::Time now) {
  while (JobRun* const job = Active()) {
    TurnTo(job->id());
    job->Advance(now);
    for (NodeId node : job->TakeStaleSessions()) RenewSession(node);
    if (!job->ended()) return;
  }
  TurnTo(JobId(0));
}

void SchedulerCore::TurnTo(JobId job) {
  const bool news = turn_ != job;
  const bool restarted = !turn_;
  turn_ = job;
  if (!news || (restarted && job != JobId(0) && Find(job)->is_deriving())) return;
  KeepArtifacts keep;
  for (const auto& [id, run] : jobs_) run->AddNeededArtifacts(&keep.sha256);
  out_.Do(std::move(keep));
}

absl::Status SchedulerCore::CheckFolderIsFree(const std::string& checkpoint_dir) const {
  if (checkpoint_dir.empty()) return absl::OkStatus();
  for (const auto& [id, job] : jobs_) {
    if (job->ended() || job->definition().checkpoint_dir() != checkpoint_dir) continue;
    return absl::FailedPreconditionError(absl::StrCat("checkpoint_dir: job ", id.value(),
                                                      ", which has not ended, writes its checkpoints to ",
                                                      checkpoint_dir, ": choose another folder"));
  }
  return absl::OkStatus();
}

// The request is stored permanently with the job.
absl::Status SchedulerCore::CheckRequest(const SubmitJobRequest& request) const {
  const std::pair<const char*, const std::string*> texts[] = {{"request_id", &request.request_id()},
                                                              {"checkpoint_dir", &request.checkpoint_dir()},
                                                              {"resume_from", &request.resume_from()}};
  for (const auto& [name, text] : texts) {
    if (text->size() <= kMaxTextBytes && text->find('\0') == text->npos) continue;
    return absl::InvalidArgumentError(absl::StrCat(name, ": expected at most ", kMaxTextBytes,
                                                   " bytes without zero bytes, got ", text->size()));
  }
  if (request.spec().ByteSizeLong() > kMaxSpecBytes) {
    return absl::InvalidArgumentError(absl::StrCat("spec: expected at most ", kMaxSpecBytes, " bytes, got ",
                                                   request.spec().ByteSizeLong()));
  }
  return absl::OkStatus();
}

// Every status contains a message for each waiting job.
size_t SchedulerCore::UnfinishedJobs() const {
  return std::count_if(jobs_.begin(), jobs_.end(), [](const auto& entry) { return !entry.second->ended(); });
}

absl::Status SchedulerCore::CheckQueue() const {
  const size_t waiting = UnfinishedJobs();
  if (waiting < kMaxWaitingJobs) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrCat(waiting, " unfinished jobs already, of at most ",
                                                   kMaxWaitingJobs, ": submit again when one has ended"));
}

std::optional<absl::StatusOr<JobId>> SchedulerCore::FindRequest(const SubmitJobRequest& request) const {
  if (request.request_id().empty()) return std::nullopt;
  JobSpec spec = request.spec();
  CompleteJob(&spec);
  for (const auto& [id, job] : jobs_) {
    if (job->definition().request_id() != request.request_id()) continue;
    if (SameMessage(job->definition().spec(), spec)) return id;
    return absl::AlreadyExistsError(absl::StrCat("request_id: \"", request.request_id(), "\" belongs to job ",
                                                 id.value(), ", which has another spec: use a new one"));
  }
  return std::nullopt;
}

std::set<std::string> SchedulerCore::FoldersInUse() const {
  std::set<std::string> folders;
  for (const auto& [id, job] : jobs_) {
    if (!job->ended()) folders.insert(job->definition().checkpoint_dir());
  }
  return folders;
}

std::string SchedulerCore::DefaultFolder() const {
  return JoinPath(options_.checkpoint_root, absl::StrCat("job-", counters_.next_job()));
}

absl::StatusOr<JobId> SchedulerCore::Submit(absl::Time now, const SubmitJobRequest& request,
                                            const std::optional<ResumePoint>& resume,
                                            const absl::Status& folder) {
  SHOAL_RETURN_IF_ERROR(CheckRequest(request));
  if (auto known = FindRequest(request)) return *std::move(known);
  JobDefinition definition;
  *definition.mutable_spec() = request.spec();
  CompleteJob(definition.mutable_spec());
  SHOAL_RETURN_IF_ERROR(ValidateJob(definition.spec()));
  definition.set_spec_sha256(Sha256Hex(NumericsText(definition.spec())));
  if (resume) SHOAL_RETURN_IF_ERROR(CheckNumerics(definition, *resume));
  SHOAL_RETURN_IF_ERROR(folder);
  SHOAL_RETURN_IF_ERROR(CheckFolderIsFree(request.checkpoint_dir()));
  SHOAL_RETURN_IF_ERROR(CheckQueue());
  const std::string usual_folder = DefaultFolder();
  const JobId id(counters_.next_job());
  counters_.set_next_job(id.value() + 1);
  SaveCounters();
  definition.set_job(id.value());
  definition.set_request_id(request.request_id());
  definition.set_checkpoint_dir(request.checkpoint_dir().empty() ? usual_folder : request.checkpoint_dir());
  definition.set_submitted_unix_ms(absl::ToUnixMillis(now));
  definition.set_cluster_id(counters_.cluster_id());
  if (resume) {
    definition.set_origin_version(resume->version.value());
    definition.set_origin_checkpoint(resume->directory);
    definition.set_origin_plan_sha256(resume->plan_sha256);
    definition.set_origin_plan_text(resume->plan_text);
  }
  auto job = std::make_unique<JobRun>(options_, members_, watch_, &out_, std::move(definition));
  job->Create(now, resume);
  jobs_[id] = std::move(job);
  Advance(now);
  return id;
}

absl::Status SchedulerCore::Cancel(absl::Time now, JobId job) {
  SHOAL_RETURN_IF_ERROR(FindNamed(job).status());
  Find(job)->Cancel(now);
  Advance(now);
  return absl::OkStatus();
}

absl::StatusOr<const JobRun*> SchedulerCore::FindNamed(JobId job) const {
  const auto found = jobs_.find(job);
  if (found == jobs_.end()) return absl::NotFoundError(absl::StrCat("there is no job ", job.value()));
  return found->second.get();
}

absl::StatusOr<Job> SchedulerCore::GetJob(JobId job) const {
  SHOAL_ASSIGN_OR_RETURN(const JobRun* const found, FindNamed(job));
  return found->Describe(/*full=*/true);
}

absl::StatusOr<uint64_t> SchedulerCore::LastEvent(JobId job) const {
  SHOAL_ASSIGN_OR_RETURN(const JobRun* const found, FindNamed(job));
  return found->last_event();
}

std::vector<Job> SchedulerCore::ListJobs(JobId after, bool* more) const {
  std::vector<Job> jobs;
  size_t bytes = 0;
  auto next = jobs_.upper_bound(after);
  for (; next != jobs_.end() && bytes < kMaxListBytes; ++next) {
    jobs.push_back(next->second->Describe(/*full=*/false));
    bytes += jobs.back().ByteSizeLong();
  }
  if (more != nullptr) *more = next != jobs_.end();
  return jobs;
}

void SchedulerCore::AddJobs(ClusterStatus* status) const {
  size_t ended = jobs_.size() - UnfinishedJobs();
  for (const auto& [id, job] : jobs_) {
    if (job->ended() && ended-- > kMaxEndedJobs) {
      status->set_older_jobs(status->older_jobs() + 1);
    } else {
      *status->add_jobs() = job->Describe(/*full=*/false);
    }
  }
}

ClusterStatus SchedulerCore::GetStatus(absl::Time now) const {
  ClusterStatus status;
  status.set_build(kBuildVersion);
  status.set_protocol_version(kProtocolVersion);
  status.set_cluster_id(counters_.cluster_id());
  AddJobs(&status);
  const JobRun* const active = Active();
  for (const auto& [id, member] : members_.all()) {
    NodeStatus& node = *status.add_nodes();
    *node.mutable_node() = member.ref();
    node.set_role(member.join.role());
    node.set_silent_seconds(absl::ToDoubleSeconds(now - member.last_seen));
    node.set_threads(member.join.threads());
    node.set_instruction_set(member.join.instruction_set());
    node.set_detail(active == nullptr ? "" : active->DetailOf(member));
    if (!node.detail().empty()) node.set_job(active->id().value());
    if (member.leaving) node.set_detail("draining");
    if (const std::string* const suspect = watch_.Suspect(id))
      node.set_detail(absl::StrCat(node.detail(), node.detail().empty() ? "" : "; ", *suspect));
    if (const Heartbeat* const last = watch_.Last(id)) {
      *node.mutable_activities() = last->activities();
      *node.mutable_unreachable() = last->unreachable();
      *node.mutable_queues() = last->queues();
    }
    if (!member.connected)
      node.set_detail(absl::StrCat(node.detail(), node.detail().empty() ? "" : "; ", "no session"));
  }
  std::vector<std::string> stalls;
  if (active != nullptr) active->AddStalls(now, &stalls);
  for (std::string& stall : stalls) *status.add_stalls() = std::move(stall);
  AddQueue("unfinished jobs", UnfinishedJobs(), kMaxWaitingJobs, status.mutable_queues());
  return status;
}

// ---- results of actions ----

void SchedulerCore::CheckpointCommitted(absl::Time now, const CommitCheckpointFiles& commit,
                                        const absl::StatusOr<std::string>& checkpoint) {
  if (JobRun* const found = Find(commit.job)) found->OnCheckpointCommitted(now, commit, checkpoint);
  Advance(now);
}

void SchedulerCore::CheckpointChecked(absl::Time now, JobId job, Version version,
                                      const absl::Status& health) {
  if (JobRun* const found = Find(job)) found->OnCheckpointChecked(now, version, health);
  Advance(now);
}

void SchedulerCore::ArtifactLost(absl::Time now, const std::string& sha256) {
  if (JobRun* const job = Active()) job->OnArtifactLost(now, sha256);
  Advance(now);
}

void SchedulerCore::ResultComputed(absl::Time now, JobId job, Version /*version*/,
                                   const absl::StatusOr<std::string>& parameters_sha256) {
  if (JobRun* const found = Find(job)) found->OnResult(now, parameters_sha256);
  Advance(now);
}

}  // namespace shoal::scheduler
