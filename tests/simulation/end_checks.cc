#include "tests/simulation/end_checks.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/protocol/job_states.h"
#include "common/storage/checkpoint.h"

namespace shoal::simulation {
namespace {

// How often the checkpoints of a running job are read again.
constexpr absl::Duration kReadAgain = absl::Milliseconds(500);

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
  state_->queue.After(kQueuePoll, [this] { PollQueues(); });
  scheduler::SchedulerNode* const scheduler = cluster_->scheduler()->Answering();
  if (scheduler == nullptr) return;
  const auto status = scheduler->GetStatus();
  if (!status.ok()) return;
  for (const QueueLength& queue : status->queues())
    CheckQueue("the scheduler", queue.name(), queue.length(), queue.limit());
  for (const NodeStatus& node : status->nodes()) {
    const std::string& name = node.node().name();
    for (const QueueLength& queue : node.queues())
      CheckQueue(name, queue.name(), queue.length(), queue.limit());
    CheckQueue(name, "directives", node.unread_directive_bytes(), node.max_unread_directive_bytes());
  }
}

void EndChecks::CheckQueue(const std::string& who, const std::string& name, uint64_t length, uint64_t limit) {
  uint64_t& longest = state_->outcome.longest_queues[name];
  longest = std::max(longest, length);
  if (length > limit) state_->Fail(absl::StrCat(who, ": ", length, " ", name, ", limit ", limit));
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
  const absl::Time now = state_->queue.now();
  MemoryEnv env(&state_->disk, 0, nullptr);
  for (const StoredCheckpoint& checkpoint : record.checkpoints()) {
    const std::string& path = checkpoint.directory();
    if (MayBeLost(job, path)) continue;
    const auto [read, is_new] = verified_.emplace(path, now);
    const bool is_due = is_new || now - read->second >= kReadAgain;
    if (is_due) read->second = now;
    const absl::Status status = is_due                 ? Verify(path)
                                : env.FileExists(path) ? absl::OkStatus()
                                                       : absl::NotFoundError(path);
    if (!status.ok())
      return state_->Fail(absl::StrCat("a checkpoint is lost while the job runs: ", status.message()));
  }
}

void EndChecks::CheckOver(SubmittedJob* job, const JobStateRecord& record) {
  if (!IsEnded(record.state())) return;
  scheduler::SchedulerNode* const node = cluster_->scheduler()->node();
  if (node == nullptr) return;
  const auto described = node->GetJob(job->id);
  if (!described.ok()) return;
  job->over = true;
  const std::string name = absl::StrCat("job ", job->id.value()), end = JobState_Name(record.state());
  state_->Log(absl::StrCat(name, ": ", end, " ", record.reason()));
  CheckCheckpoints(*job, record);
  CheckTraining(*job, EventsOf(job->id));
  if (record.state() == JOB_STATE_CANCELLED && job->cancelled) return;
  if (IsEndedByDisk(record)) {
    state_->outcome.ended_by_disk = true;
    return;
  }
  if (record.state() == JOB_STATE_FAILED && !job->oracle->reference().failure.empty())
    return job->oracle->OnFailed(*described, state_->HasFault({"outdate"}));
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
void EndChecks::CheckCheckpoints(const SubmittedJob& job, const JobStateRecord& record) {
  for (const StoredCheckpoint& checkpoint : record.checkpoints()) {
    if (MayBeLost(job, checkpoint.directory())) continue;
    ++state_->outcome.checkpoints;
    const absl::Status status = Verify(checkpoint.directory());
    if (!status.ok()) return state_->Fail(absl::StrCat("a committed checkpoint is lost: ", status.message()));
  }
}

bool EndChecks::MayBeLost(const SubmittedJob& job, const std::string& path) {
  // A cluster that is gone may still delete those of an earlier life.
  if (DirName(path) != job.folder) return true;
  // Forgotten: pruned after the copy that was put back was made.
  return state_->forgotten.count(path) > 0 || state_->damaged.count(path) > 0;
}

}  // namespace shoal::simulation
