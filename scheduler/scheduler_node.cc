#include "scheduler/scheduler_node.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/checkpoint.h"
#include "common/status.h"
#include "scheduler/checkpoint_files.h"
#include "spdlog/spdlog.h"

namespace shoal::scheduler {
namespace {

constexpr absl::Duration kTick = absl::Milliseconds(50);
constexpr int kEventsAtOnce = 64;

bool IsOver(const Job& job) {
  return job.state() == JOB_STATE_COMPLETED || job.state() == JOB_STATE_FAILED ||
         job.state() == JOB_STATE_CANCELLED;
}

}  // namespace

absl::StatusOr<std::unique_ptr<SchedulerNode>> SchedulerNode::Start(Options options) {
  SHOAL_RETURN_IF_ERROR(options.env->CreateDirs(options.state_dir));
  SHOAL_ASSIGN_OR_RETURN(std::unique_ptr<Store> store,
                         Store::Open(JoinPath(options.state_dir, "scheduler.sqlite")));
  SHOAL_ASSIGN_OR_RETURN(const std::vector<StoredRecord> records, store->ReadAll());
  std::unique_ptr<SchedulerNode> node(new SchedulerNode(std::move(options), std::move(store)));
  {
    absl::MutexLock lock(&node->mutex_);
    SHOAL_RETURN_IF_ERROR(node->core_.Load(absl::Now(), records));
    node->CarryOut();
  }
  node->ticker_ = std::thread([n = node.get()] { n->RunTicks(); });
  node->filer_ = std::thread([n = node.get()] { n->RunFileWork(); });
  return node;
}

SchedulerNode::SchedulerNode(Options options, std::unique_ptr<Store> store)
    : options_(std::move(options)),
      started_(absl::Now()),
      artifacts_(options_.env, JoinPath(options_.state_dir, "artifacts")),
      store_(std::move(store)),
      core_(options_.core) {}

SchedulerNode::~SchedulerNode() {
  Stop();
  if (ticker_.joinable()) ticker_.join();
  if (filer_.joinable()) filer_.join();
}

void SchedulerNode::Stop() {
  absl::MutexLock lock(&mutex_);
  stopping_ = true;
  for (auto& [node, stream] : sessions_) stream->End(absl::UnavailableError("the scheduler stops"));
  for (auto& [job, watchers] : watchers_) {
    for (JobWatcher* watcher : watchers) watcher->OnHistory();
  }
}

absl::Status SchedulerNode::WaitFailed(absl::Duration timeout) {
  const auto failed = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return !failed_.ok(); };
  absl::MutexLock lock(&mutex_);
  mutex_.AwaitWithTimeout(absl::Condition(&failed), timeout);
  return failed_;
}

// ---- nodes ----

absl::StatusOr<JoinResponse> SchedulerNode::Join(const JoinRequest& request) {
  absl::MutexLock lock(&mutex_);
  if (stopping_) return absl::UnavailableError("the scheduler stops");
  auto response = core_.Join(absl::Now(), request);
  CarryOut();
  return response;
}

absl::Status SchedulerNode::OpenSession(const Hello& hello, SessionStream* stream) {
  absl::MutexLock lock(&mutex_);
  if (stopping_) return absl::UnavailableError("the scheduler stops");
  const NodeId node(hello.node_id());
  const auto former = sessions_.find(node);
  if (former != sessions_.end()) {
    former->second->End(absl::AbortedError("the node has opened another session"));
    sessions_.erase(former);
  }
  const absl::Status status = core_.SessionOpened(absl::Now(), node, hello);
  if (status.ok()) sessions_[node] = stream;
  CarryOut();
  return status;
}

absl::Status SchedulerNode::Report(NodeId node, const NodeReport& report) {
  absl::MutexLock lock(&mutex_);
  if (stopping_) return absl::UnavailableError("the scheduler stops");
  const absl::Status status = core_.Report(absl::Now(), node, report);
  CarryOut();
  return status;
}

void SchedulerNode::SessionOver(NodeId node, SessionStream* stream) {
  absl::MutexLock lock(&mutex_);
  const auto found = sessions_.find(node);
  if (found == sessions_.end() || found->second != stream) return;
  sessions_.erase(found);
  if (stopping_) return;
  core_.SessionBroken(absl::Now(), node);
  CarryOut();
}

// ---- users ----

absl::StatusOr<JobId> SchedulerNode::Submit(const SubmitJobRequest& request) {
  std::optional<ResumePoint> resume;
  if (!request.resume_from().empty()) {
    auto found = FindResumePoint(options_.env, request.resume_from());
    if (!found.ok()) return Annotate(found.status(), "resume_from");
    resume = *std::move(found);
  }
  // A request that comes again is answered whatever its job has written since: the core decides.
  absl::Status folder;
  if (!request.checkpoint_dir().empty())
    folder = CheckCheckpointFolder(options_.env, request.checkpoint_dir(), resume);
  absl::MutexLock lock(&mutex_);
  if (stopping_) return absl::UnavailableError("the scheduler stops");
  auto job = core_.Submit(absl::Now(), request, resume, folder);
  CarryOut();
  if (!failed_.ok()) return failed_;
  return job;
}

absl::Status SchedulerNode::Cancel(JobId job) {
  absl::MutexLock lock(&mutex_);
  const absl::Status status = core_.Cancel(absl::Now(), job);
  CarryOut();
  return status;
}

absl::StatusOr<Job> SchedulerNode::GetJob(JobId job) {
  absl::MutexLock lock(&mutex_);
  return core_.GetJob(job);
}

std::vector<Job> SchedulerNode::ListJobs() {
  absl::MutexLock lock(&mutex_);
  return core_.ListJobs();
}

ClusterStatus SchedulerNode::GetStatus() {
  absl::MutexLock lock(&mutex_);
  ClusterStatus status = core_.GetStatus(absl::Now());
  status.set_uptime_seconds(absl::ToDoubleSeconds(absl::Now() - started_));
  return status;
}

absl::Status SchedulerNode::Watch(JobId job, JobWatcher* watcher) {
  absl::MutexLock lock(&mutex_);
  SHOAL_RETURN_IF_ERROR(core_.GetJob(job).status());
  watchers_[job].insert(watcher);
  return absl::OkStatus();
}

void SchedulerNode::Unwatch(JobId job, JobWatcher* watcher) {
  absl::MutexLock lock(&mutex_);
  const auto found = watchers_.find(job);
  if (found == watchers_.end()) return;
  found->second.erase(watcher);
  if (found->second.empty()) watchers_.erase(found);
}

absl::StatusOr<SchedulerNode::Events> SchedulerNode::ReadEvents(JobId job, uint64_t after) {
  absl::MutexLock lock(&mutex_);
  if (stopping_) return absl::UnavailableError("the scheduler stops");
  Events read;
  SHOAL_ASSIGN_OR_RETURN(read.events, store_->ReadEvents(job, after, kEventsAtOnce));
  if (!read.events.empty()) return read;
  SHOAL_ASSIGN_OR_RETURN(const Job now, core_.GetJob(job));
  read.last = IsOver(now);
  return read;
}

// ---- actions ----

void SchedulerNode::CarryOut() {
  while (failed_.ok()) {
    std::vector<Action> actions = core_.TakeActions();
    if (actions.empty()) return;
    // What is not durable must not be acted upon.
    failed_ = store_->Apply(actions);
    if (!failed_.ok()) {
      spdlog::critical("{}: the scheduler stops, so that nothing it says is forgotten", failed_.ToString());
      return;
    }
    for (Action& action : actions) CarryOut(std::move(action));
  }
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
    const auto level = line->level == LogLine::Level::kInfo      ? spdlog::level::info
                       : line->level == LogLine::Level::kWarning ? spdlog::level::warn
                                                                 : spdlog::level::err;
    spdlog::log(level, "{}", line->text);
  } else if (!std::holds_alternative<Persist>(action) && !std::holds_alternative<Erase>(action)) {
    file_work_.push_back(std::move(action));
  }
}

void SchedulerNode::RunTicks() {
  absl::MutexLock lock(&mutex_);
  while (!mutex_.AwaitWithTimeout(absl::Condition(&stopping_), kTick)) {
    core_.Tick(absl::Now());
    CarryOut();
  }
}

void SchedulerNode::RunFileWork() {
  const auto wanted = [this]()
                          ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return stopping_ || !file_work_.empty(); };
  while (true) {
    std::optional<Action> action;
    {
      absl::MutexLock lock(&mutex_);
      mutex_.Await(absl::Condition(&wanted));
      if (stopping_) return;
      action = std::move(file_work_.front());
      file_work_.pop_front();
    }
    WorkOnFiles(*action);
  }
}

void SchedulerNode::WorkOnFiles(const Action& action) {
  if (const auto* commit = std::get_if<CommitCheckpointFiles>(&action)) {
    const auto checkpoint = CommitWithHistory(options_.env, *commit);
    absl::MutexLock lock(&mutex_);
    core_.CheckpointCommitted(absl::Now(), commit->job, Version(commit->manifest.version()), checkpoint);
    CarryOut();
  } else if (const auto* remove = std::get_if<DeleteCheckpointFiles>(&action)) {
    const absl::Status status = DeleteCheckpoint(options_.env, remove->folder, remove->version);
    if (!status.ok()) spdlog::warn("An old checkpoint stays: {}", status.ToString());
  } else if (const auto* leftovers = std::get_if<DeletePartialFiles>(&action)) {
    const absl::Status status = DeletePartialCheckpoints(options_.env, leftovers->folder);
    if (!status.ok()) spdlog::warn("What is left of a checkpoint stays: {}", status.ToString());
  } else if (const auto* compute = std::get_if<ComputeResult>(&action)) {
    absl::StatusOr<std::string> sha256;
    const auto reader = CheckpointReader::Open(options_.env, compute->checkpoint);
    sha256 = reader.ok() ? reader->ThetaSha256() : reader.status();
    absl::MutexLock lock(&mutex_);
    core_.ResultComputed(absl::Now(), compute->job, compute->version, sha256);
    CarryOut();
  }
}

}  // namespace shoal::scheduler
