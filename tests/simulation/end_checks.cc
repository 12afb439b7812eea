#include "tests/simulation/end_checks.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/storage/checkpoint.h"

namespace shoal::simulation {
namespace {

bool IsOver(JobState state) {
  return state == JOB_STATE_COMPLETED || state == JOB_STATE_FAILED || state == JOB_STATE_CANCELLED;
}

}  // namespace

void EndChecks::Poll() {
  for (SubmittedJob& job : state_->jobs) {
    if (!job.over && job.id != JobId(0)) {
      const JobStateRecord record = RecordOf(*cluster_->tables(), job.id);
      CheckCommitted(job, record);
      CheckOver(&job, record);
    }
    state_->Fail(job.oracle->failure());
  }
  state_->queue.After(kPoll, [this] { Poll(); });
}

void EndChecks::PollQueues() {
  for (NodeRole role : {NODE_ROLE_SERVER, NODE_ROLE_WORKER}) {
    for (const NodeProcess* node : cluster_->Living(role))
      CheckQueues(node->name(), node->MakeHeartbeat().queues());
  }
  if (scheduler::SchedulerNode* const node = cluster_->scheduler()->Answering()) {
    const auto status = node->GetStatus();
    if (status.ok()) CheckQueues("the scheduler", status->queues());
  }
  state_->queue.After(kQueuePoll, [this] { PollQueues(); });
}

void EndChecks::CheckQueues(const std::string& who,
                            const google::protobuf::RepeatedPtrField<QueueLength>& queues) {
  for (const QueueLength& queue : queues) {
    if (queue.length() > queue.limit())
      state_->Fail(absl::StrCat(who, ": ", queue.length(), " ", queue.name(), ", limit ", queue.limit()));
  }
}

JobStateRecord EndChecks::RecordOf(const scheduler::StoredTables& tables, JobId job) {
  const auto stored = tables.find({scheduler::kStateTable, scheduler::RecordKey(job.value())});
  JobStateRecord record;
  if (stored != tables.end()) (void)record.ParseFromString(stored->second);
  return record;
}

absl::Status EndChecks::Verify(const std::string& path) {
  MemoryEnv env(&state_->disk, 0, nullptr);
  const auto reader = CheckpointReader::Open(&env, path);
  return reader.ok() ? reader->Verify().status() : reader.status();
}

void EndChecks::CheckCommitted(const SubmittedJob& job, const JobStateRecord& record) {
  MemoryEnv env(&state_->disk, 0, nullptr);
  for (const StoredCheckpoint& checkpoint : record.checkpoints()) {
    const std::string& path = checkpoint.directory();
    if (MayBeLost(job, Version(checkpoint.version()), path)) continue;
    const bool is_new = verified_.insert(path).second;
    const absl::Status status = is_new                 ? Verify(path)
                                : env.FileExists(path) ? absl::OkStatus()
                                                       : absl::NotFoundError(path);
    if (!status.ok())
      return state_->Fail(absl::StrCat("a checkpoint is lost while the job runs: ", status.message()));
  }
}

void EndChecks::CheckOver(SubmittedJob* job, const JobStateRecord& record) {
  if (!IsOver(record.state())) return;
  scheduler::SchedulerNode* const node = cluster_->scheduler()->node();
  if (node == nullptr) return;
  const auto described = node->GetJob(job->id);
  if (!described.ok()) return;
  job->over = true;
  const std::string name = absl::StrCat("job ", job->id.value()), end = JobState_Name(record.state());
  state_->Log(absl::StrCat(name, ": ", end, " ", record.reason()));
  if (record.state() == JOB_STATE_CANCELLED && job->cancelled) return;
  if (IsEndedByDisk(record)) {
    state_->outcome.ended_by_disk = true;
    return;
  }
  if (record.state() == JOB_STATE_FAILED && !job->oracle->reference().failure.empty())
    return job->oracle->OnFailed(*described);
  if (record.state() != JOB_STATE_COMPLETED)
    return state_->Fail(absl::StrCat(name, " has ended as ", end, ": ", record.reason()));
  CheckCompleted(*job, record, *described);
}

// A disk that fails for long enough is allowed to end a job.
bool EndChecks::IsEndedByDisk(const JobStateRecord& record) const {
  const bool disk = absl::StrContains(record.reason(), "Input/output error") ||
                    absl::StrContains(record.reason(), "could not be written");
  return record.state() == JOB_STATE_FAILED && disk && state_->HasFault({"full", "broken", "unmount"});
}

void EndChecks::CheckCompleted(const SubmittedJob& job, const JobStateRecord& record, const Job& described) {
  const std::vector<JobEvent> events = EventsOf(job.id);
  job.oracle->OnCompleted(described, events);
  CheckTraining(job, events);
  CheckCheckpoints(job, described);
  const JobResult& result = described.result();
  Outcome& outcome = state_->outcome;
  outcome.interventions += described.interventions();
  outcome.restores = record.view().restore().restore_id();
  outcome.stopped_early = outcome.stopped_early || result.stopped_early();
  outcome.kept_older = outcome.kept_older || result.version() < result.rounds();
}

std::vector<JobEvent> EndChecks::EventsOf(JobId job) {
  std::vector<JobEvent> events;
  scheduler::MemoryStore store(cluster_->tables());
  while (true) {
    const auto more = store.ReadEvents(job, events.empty() ? 0 : events.back().sequence(), 1000);
    if (!more.ok() || more->empty()) return events;
    events.insert(events.end(), more->begin(), more->end());
  }
}

// Only a store that was put back makes a job begin another training; one that begins it for another reason
// hides a fault, as another training mends most states.
void EndChecks::CheckTraining(const SubmittedJob& job, const std::vector<JobEvent>& events) {
  if (state_->HasFault({"outdate"})) return;
  for (const JobEvent& event : events) {
    if (absl::StrContains(event.message(), "store is an older copy"))
      state_->Fail(absl::StrCat("job ", job.id.value(), ": ", event.message()));
  }
}

// Checkpoints that the scheduler calls committed must exist and be intact.
void EndChecks::CheckCheckpoints(const SubmittedJob& job, const Job& described) {
  for (uint64_t version : described.checkpoints()) {
    const std::string path = JoinPath(job.folder, CheckpointName(Version(version)));
    if (MayBeLost(job, Version(version), path)) continue;
    ++state_->outcome.checkpoints;
    const absl::Status status = Verify(path);
    if (!status.ok()) return state_->Fail(absl::StrCat("a committed checkpoint is lost: ", status.message()));
  }
}

bool EndChecks::MayBeLost(const SubmittedJob& job, Version version, const std::string& path) {
  MemoryEnv env(&state_->disk, 0, nullptr);
  // Checkpoints of an earlier life stay in their own folder.
  const bool earlier = version <= Version(job.oracle->first_round()) && job.life > 0;
  if (earlier && !env.FileExists(path)) return true;
  // Forgotten: pruned after the copy that was put back was made.
  return state_->forgotten.count(path) > 0 || state_->damaged.count(path) > 0;
}

}  // namespace shoal::simulation
