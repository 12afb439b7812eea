#include "scheduler/scheduler_node.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/protocol/job_states.h"
#include "common/protocol/queue_length.h"
#include "common/storage/checkpoint.h"
#include "scheduler/checkpoint_files.h"
#include "scheduler/directive_queue.h"

namespace shoal::scheduler {
namespace {

constexpr absl::Duration kTick = absl::Milliseconds(50);
constexpr int kEventsAtOnce = 64;

// The checkpoint folder that an action on files works on.
std::string FolderOf(const Action& action) {
  if (const auto* commit = std::get_if<CommitCheckpointFiles>(&action)) return commit->folder;
  if (const auto* check = std::get_if<CheckCheckpointFiles>(&action)) return DirName(check->checkpoint);
  if (const auto* remove = std::get_if<DeleteCheckpointFiles>(&action)) return remove->folder;
  if (const auto* parts = std::get_if<DeletePartsOfVersion>(&action)) return parts->folder;
  if (const auto* leftovers = std::get_if<DeletePartialFiles>(&action)) return leftovers->folder;
  if (const auto* compute = std::get_if<ComputeResult>(&action)) return DirName(compute->checkpoint);
  return "";
}

// A caller would take UNAVAILABLE to mean that the scheduler does not answer.
absl::Status OfFiles(const absl::Status& status) {
  return absl::IsUnavailable(status) ? absl::FailedPreconditionError(status.message()) : status;
}

}  // namespace

absl::StatusOr<std::unique_ptr<SchedulerNode>> SchedulerNode::Start(Options options) {
  SHOAL_ASSIGN_OR_RETURN(const std::vector<StoredRecord> records, options.store->ReadAll());
  std::unique_ptr<SchedulerNode> node(new SchedulerNode(std::move(options)));
  {
    absl::MutexLock lock(&node->mutex_);
    SHOAL_RETURN_IF_ERROR(node->core_.Load(node->Now(), records));
    SHOAL_RETURN_IF_ERROR(node->CarryOut());
  }
  node->TickLater();
  return node;
}

SchedulerNode::SchedulerNode(Options options)
    : options_(std::move(options)),
      ticks_(options_.executors("ticks")),
      started_(ticks_->Now()),
      artifacts_(options_.env, options_.artifact_dir),
      files_(options_.executors),
      core_(options_.core) {}

SchedulerNode::~SchedulerNode() {
  Stop();
  ticks_->Stop();
  files_.Stop();
}

void SchedulerNode::Stop() {
  absl::MutexLock lock(&mutex_);
  stopping_ = true;
  for (auto& [node, stream] : sessions_) stream->End(absl::UnavailableError("the scheduler is stopping"));
  for (auto& [job, watchers] : watchers_) {
    for (JobWatcher* watcher : watchers) watcher->OnHistory();
  }
}

absl::Status SchedulerNode::WaitFailed(absl::Duration timeout) {
  (void)failure_.WaitFor(timeout);
  absl::MutexLock lock(&mutex_);
  return failed_;
}

absl::Status SchedulerNode::Ready() const {
  return stopping_ ? absl::UnavailableError("the scheduler is stopping") : failed_;
}

// ---- nodes ----

absl::StatusOr<JoinResponse> SchedulerNode::Join(const JoinRequest& request) {
  absl::MutexLock lock(&mutex_);
  SHOAL_RETURN_IF_ERROR(Ready());
  auto response = core_.Join(Now(), request);
  SHOAL_RETURN_IF_ERROR(CarryOut());
  return response;
}

absl::Status SchedulerNode::OpenSession(const Hello& hello, SessionStream* stream) {
  absl::MutexLock lock(&mutex_);
  SHOAL_RETURN_IF_ERROR(Ready());
  const NodeId node(hello.node_id());
  const absl::Status status = core_.SessionOpened(Now(), node, hello);
  if (status.ok()) {
    SessionStream*& current = sessions_[node];
    if (current != nullptr) current->End(absl::AbortedError("the node has opened another session"));
    current = stream;
  }
  const absl::Status carried_out = CarryOut();
  if (status.ok() && !carried_out.ok()) sessions_.erase(node);
  return status.ok() ? carried_out : status;
}

absl::Status SchedulerNode::Report(NodeId node, const SessionStream* stream, const NodeReport& report) {
  absl::MutexLock lock(&mutex_);
  SHOAL_RETURN_IF_ERROR(Ready());
  const auto session = sessions_.find(node);
  if (session == sessions_.end() || session->second != stream)
    return absl::AbortedError("the node's session is over: report everything in a new one");
  const absl::Status status = core_.Report(Now(), node, report);
  SHOAL_RETURN_IF_ERROR(CarryOut());
  return status;
}

void SchedulerNode::SessionOver(NodeId node, SessionStream* stream) {
  absl::MutexLock lock(&mutex_);
  const auto found = sessions_.find(node);
  if (found == sessions_.end() || found->second != stream) return;
  sessions_.erase(found);
  if (!Ready().ok()) return;
  core_.SessionBroken(Now(), node);
  (void)CarryOut();  // WaitFailed reports the error
}

// ---- users ----

absl::StatusOr<JobId> SchedulerNode::Submit(const SubmitJobRequest& as_written) {
  {
    absl::MutexLock lock(&mutex_);
    SHOAL_RETURN_IF_ERROR(Ready());
    if (auto known = core_.FindRequest(as_written)) return *std::move(known);
  }
  SubmitJobRequest request = as_written;
  request.set_checkpoint_dir(NormalPath(request.checkpoint_dir()));  // folders are compared by name
  std::optional<ResumePoint> resume;
  if (!request.resume_from().empty()) {
    auto found = FindResumePoint(options_.env, request.resume_from());
    if (!found.ok()) return Annotate(OfFiles(found.status()), "resume_from");
    resume = *std::move(found);
  }
  const bool chooses = request.checkpoint_dir().empty();
  while (true) {
    std::string usual;
    absl::Status folder;
    if (chooses) {
      std::set<std::string> taken;
      {
        absl::MutexLock lock(&mutex_);
        usual = core_.DefaultFolder();
        taken = core_.FoldersInUse();
      }
      auto free = FreeCheckpointFolder(options_.env, usual, taken);
      if (!free.ok()) return OfFiles(free.status());
      request.set_checkpoint_dir(*std::move(free));
    } else {
      folder = OfFiles(CheckCheckpointFolder(options_.env, request.checkpoint_dir(), resume));
    }
    absl::MutexLock lock(&mutex_);
    SHOAL_RETURN_IF_ERROR(Ready());
    if (chooses && core_.DefaultFolder() != usual) continue;  // another job took that number meanwhile
    auto job = core_.Submit(Now(), request, resume, folder);
    SHOAL_RETURN_IF_ERROR(CarryOut());
    return job;
  }
}

absl::Status SchedulerNode::Cancel(JobId job) {
  absl::MutexLock lock(&mutex_);
  SHOAL_RETURN_IF_ERROR(Ready());
  const absl::Status status = core_.Cancel(Now(), job);
  SHOAL_RETURN_IF_ERROR(CarryOut());
  return status;
}

absl::StatusOr<Job> SchedulerNode::GetJob(JobId job) {
  absl::MutexLock lock(&mutex_);
  SHOAL_RETURN_IF_ERROR(failed_);  // the core is then ahead of the store
  return core_.GetJob(job);
}

absl::StatusOr<ListJobsResponse> SchedulerNode::ListJobs(JobId after) {
  absl::MutexLock lock(&mutex_);
  SHOAL_RETURN_IF_ERROR(failed_);
  ListJobsResponse response;
  bool more = false;
  for (Job& job : core_.ListJobs(after, &more)) *response.add_jobs() = std::move(job);
  response.set_more(more);
  return response;
}

absl::StatusOr<ClusterStatus> SchedulerNode::GetStatus() {
  absl::MutexLock lock(&mutex_);
  SHOAL_RETURN_IF_ERROR(failed_);
  ClusterStatus status = core_.GetStatus(Now());
  status.set_uptime_seconds(absl::ToDoubleSeconds(Now() - started_));
  for (NodeStatus& node : *status.mutable_nodes()) AddUnread(&node);
  AddQueue("watchers", watcher_count_, kMaxWatchers, status.mutable_queues());
  AddQueue("leftovers to delete", files_.most_optional(), FolderExecutors::kMaxOptional,
           status.mutable_queues());
  return status;
}

void SchedulerNode::AddUnread(NodeStatus* node) const {
  node->set_max_unread_directive_bytes(DirectiveQueue::kMaxUnreadBytes);
  const auto session = sessions_.find(NodeId(node->node().node_id()));
  if (session != sessions_.end()) node->set_unread_directive_bytes(session->second->unread_bytes());
}

absl::StatusOr<uint64_t> SchedulerNode::Watch(JobId job, uint64_t after, JobWatcher* watcher) {
  absl::MutexLock lock(&mutex_);
  SHOAL_RETURN_IF_ERROR(Ready());
  SHOAL_ASSIGN_OR_RETURN(const uint64_t last, core_.LastEvent(job));
  if (watcher_count_ >= kMaxWatchers) {
    return absl::ResourceExhaustedError(absl::StrCat(
        kMaxWatchers, " clients are watching jobs already: try again when one of them has left"));
  }
  watcher_count_ += watchers_[job].insert(watcher).second;
  return std::min(after, last);
}

void SchedulerNode::Unwatch(JobId job, JobWatcher* watcher) {
  absl::MutexLock lock(&mutex_);
  const auto found = watchers_.find(job);
  if (found == watchers_.end()) return;
  watcher_count_ -= found->second.erase(watcher);
  if (found->second.empty()) watchers_.erase(found);
}

absl::StatusOr<SchedulerNode::Events> SchedulerNode::ReadEvents(JobId job, uint64_t after) {
  absl::MutexLock lock(&mutex_);
  SHOAL_RETURN_IF_ERROR(Ready());
  Events read;
  SHOAL_ASSIGN_OR_RETURN(read.events, options_.store->ReadEvents(job, after, kEventsAtOnce));
  if (!read.events.empty()) return read;
  SHOAL_ASSIGN_OR_RETURN(const Job now, core_.GetJob(job));
  read.last = IsEnded(now.state());
  return read;
}

absl::Status SchedulerNode::SendArtifact(const std::string& sha256, const ArtifactFolder::TakePiece& take) {
  const absl::Status status = artifacts_.Read(sha256, take);
  const bool damaged = absl::IsDataLoss(status), unreadable = IsUnreadable(status);
  if (!damaged && !unreadable && !absl::IsNotFound(status)) return status;
  // A good one may have replaced it since.
  if (!absl::IsNotFound(status) && artifacts_.Verify(sha256).ok()) return status;
  // One that only can't be read may be readable again, and the only copy.
  if (damaged) {
    LogError("Deleting an artifact: ", status.message());
    const absl::Status deleted = artifacts_.Delete(sha256);
    if (!deleted.ok()) LogError("The artifact can't be deleted: ", deleted.ToString());
  }
  absl::MutexLock lock(&mutex_);
  SHOAL_RETURN_IF_ERROR(Ready());
  core_.ArtifactLost(Now(), sha256);
  SHOAL_RETURN_IF_ERROR(CarryOut());
  return status;
}

// ---- actions ----

absl::Status SchedulerNode::CarryOut() {
  while (failed_.ok()) {
    std::vector<Action> actions = core_.TakeActions();
    if (actions.empty()) break;
    // Must be durable before it is acted upon.
    failed_ = options_.store->Apply(actions);
    // Not FAILED_PRECONDITION, which a node would take for a refusal.
    if (absl::IsFailedPrecondition(failed_)) failed_ = absl::UnavailableError(failed_.message());
    if (!failed_.ok()) {
      WriteLog(LogLevel::kCritical,
               absl::StrCat(failed_.ToString(),
                            ": the scheduler is stopping, since it must not act on what is not stored"));
      failure_.Notify();
      break;
    }
    for (Action& action : actions) CarryOut(std::move(action));
  }
  return failed_;
}

void SchedulerNode::CarryOut(Action action) {
  if (const auto* send = std::get_if<SendDirective>(&action)) {
    const auto session = sessions_.find(send->node);
    if (session != sessions_.end()) session->second->Send(send->directive);
  } else if (const auto* end = std::get_if<EndSession>(&action)) {
    const auto session = sessions_.find(end->node);
    if (session == sessions_.end()) return;
    session->second->End(end->status);
    sessions_.erase(session);
  } else if (const auto* publish = std::get_if<PublishEvent>(&action)) {
    const auto watchers = watchers_.find(publish->job);
    if (watchers == watchers_.end()) return;
    for (JobWatcher* watcher : watchers->second) {
      if (publish->event.sequence() == 0) {
        watcher->OnProgress(publish->event);
      } else {
        watcher->OnHistory();
      }
    }
  } else if (const auto* line = std::get_if<LogLine>(&action)) {
    const auto level = line->level == LogLine::Level::kInfo      ? LogLevel::kInfo
                       : line->level == LogLine::Level::kWarning ? LogLevel::kWarning
                                                                 : LogLevel::kError;
    WriteLog(level, line->text);
  } else if (const auto* keep = std::get_if<KeepArtifacts>(&action)) {
    // At once: later actions may have a worker upload some of them again.
    const absl::Status status = artifacts_.KeepOnly(keep->sha256);
    if (!status.ok()) LogWarning("Can't delete an artifact that no job needs: ", status.ToString());
  } else if (!std::holds_alternative<Persist>(action) && !std::holds_alternative<Erase>(action)) {
    PostWorkOnFiles(std::move(action));
  }
}

// While a folder hangs, each version whose parts the servers still write, and each restore point, adds a
// deletion. What one leaves is deleted with a later restore point, or at the job's end.
void SchedulerNode::PostWorkOnFiles(Action action) {
  const std::string folder = FolderOf(action);
  const auto* const leftovers = std::get_if<DeletePartialFiles>(&action);
  const bool may_be_left_out = std::holds_alternative<DeletePartsOfVersion>(action) ||
                               (leftovers != nullptr && leftovers->before_restore.has_value());
  auto work = [this, action = std::move(action)] { WorkOnFiles(action); };
  if (!may_be_left_out) return files_.Post(folder, std::move(work));
  if (!files_.PostIfRoom(folder, std::move(work))) {
    LogWarning(folder, " hangs: parts of a version that can't be completed stay there for now");
  }
}

void SchedulerNode::TickLater() {
  ticks_->After(kTick, [this] {
    {
      absl::MutexLock lock(&mutex_);
      if (!Ready().ok()) return;
      core_.Tick(Now());
      if (!CarryOut().ok()) return;
    }
    files_.Sweep();
    TickLater();
  });
}

void SchedulerNode::WorkOnFiles(const Action& action) {
  if (const auto* commit = std::get_if<CommitCheckpointFiles>(&action)) {
    const auto checkpoint = CommitWithHistory(options_.env, *commit);
    absl::MutexLock lock(&mutex_);
    if (!failed_.ok()) return;
    core_.CheckpointCommitted(Now(), *commit, checkpoint);
    (void)CarryOut();  // WaitFailed reports the error
  } else if (const auto* check = std::get_if<CheckCheckpointFiles>(&action)) {
    const absl::Status health = VerifyOrSetAside(options_.env, check->checkpoint).status();
    absl::MutexLock lock(&mutex_);
    if (!failed_.ok()) return;
    core_.CheckpointChecked(Now(), check->job, check->version, health);
    (void)CarryOut();  // WaitFailed reports the error
  } else if (const auto* remove = std::get_if<DeleteCheckpointFiles>(&action)) {
    const absl::Status status = DeleteCheckpoint(options_.env, remove->folder, remove->version);
    if (!status.ok()) LogWarning("Can't delete an old checkpoint: ", status.ToString());
  } else if (const auto* parts = std::get_if<DeletePartsOfVersion>(&action)) {
    const absl::Status status =
        DeleteCheckpointParts(options_.env, parts->folder, parts->version, parts->restore_id);
    if (!status.ok()) LogWarning("Can't delete what is left of a checkpoint: ", status.ToString());
  } else if (const auto* leftovers = std::get_if<DeletePartialFiles>(&action)) {
    const absl::Status status =
        DeletePartialCheckpoints(options_.env, leftovers->folder, leftovers->before_restore);
    if (!status.ok()) LogWarning("Can't delete what is left of a checkpoint: ", status.ToString());
  } else if (const auto* compute = std::get_if<ComputeResult>(&action)) {
    const auto sha256 = VerifyOrSetAside(options_.env, compute->checkpoint);
    absl::MutexLock lock(&mutex_);
    if (!failed_.ok()) return;
    core_.ResultComputed(Now(), compute->job, compute->version, sha256);
    (void)CarryOut();  // WaitFailed reports the error
  }
}

}  // namespace shoal::scheduler
