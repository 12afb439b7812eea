#include "worker/worker_daemon.h"

#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/event.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/protocol/blocks.h"
#include "worker/grpc_link.h"
#include "worker/job_worker.h"

namespace shoal::worker {
namespace {

std::string PlaceOf(const JoinRequest& join) {
  std::error_code error;
  const std::string folder = std::filesystem::current_path(error).string();
  return absl::StrCat("worker ", join.name(), " on ", join.machine(), ", working directory ", folder);
}

}  // namespace

WorkerDaemon::WorkerDaemon(Options options, std::unique_ptr<ProgramBuilder> builder)
    : options_(std::move(options)),
      builder_(std::move(builder)),
      artifacts_({options_.env, JoinPath(options_.work_dir, "artifacts"), options_.session.channel}),
      jobs_([this] {
        WorkerJobs::Options jobs;
        jobs.place = PlaceOf(options_.session.join);
        jobs.builder = builder_.get();
        jobs.artifacts = &artifacts_;
        jobs.report = [this](NodeReport report) { session_->Send(std::move(report)); };
        jobs.make_runner = [this](WorkerRounds::Options rounds, std::unique_ptr<Program> program) {
          return MakeRunner(std::move(rounds), std::move(program));
        };
        jobs.executors = options_.session.executors;
        jobs.on_stuck = [this](const absl::Status& status) {
          LogError(status.message());
          absl::MutexLock lock(&mutex_);
          stuck_ = status;
        };
        return jobs;
      }()) {
  SessionCallbacks callbacks;
  callbacks.on_joined = [this](const JoinResponse& joined) {
    session_is_set_.WaitForNotification();  // on_joined is always the first callback
    jobs_.OnJoined(NodeId(joined.node_id()));
  };
  callbacks.on_session_opened = [this] { jobs_.OnSessionOpened(); };
  callbacks.on_directive = [this](const Directive& directive) { jobs_.OnDirective(directive); };
  callbacks.on_lease_lost = [this] { jobs_.OnLeaseLost(); };
  callbacks.heartbeat = [this] { return jobs_.MakeHeartbeat(); };
  session_ = std::make_unique<SessionClient>(options_.session, std::move(callbacks));
  session_is_set_.Notify();
}

WorkerDaemon::~WorkerDaemon() { session_->Stop(); }

absl::Status WorkerDaemon::WaitRefused(absl::Duration timeout) {
  SHOAL_RETURN_IF_ERROR(session_->WaitRefused(timeout));
  absl::MutexLock lock(&mutex_);
  return stuck_;
}

absl::Status WorkerDaemon::Stop(absl::Duration patience) {
  session_->Stop();
  const auto stopped = std::make_shared<Event>();
  jobs_.Stop([stopped] { stopped->Notify(); });
  if (stopped->WaitFor(patience)) return absl::OkStatus();
  return absl::DeadlineExceededError(
      absl::StrCat("still busy after ", absl::FormatDuration(patience), ": ", jobs_.Busy()));
}

std::unique_ptr<JobRunner> WorkerDaemon::MakeRunner(WorkerRounds::Options rounds,
                                                    std::unique_ptr<Program> program) const {
  GrpcLinkOptions link;
  link.wire = rounds.wire;
  for (const BlockSpec& block : CutBlocks(rounds.group_sizes, rounds.max_block_elements))
    link.block_elements.push_back(block.size);
  link.backoff_seed = rounds.self.value();
  link.executors = options_.session.executors;
  JobWorker::Options options;
  options.rounds = std::move(rounds);
  options.executors = options_.session.executors;
  return std::make_unique<JobWorker>(std::move(options), std::move(program),
                                     [&](ParameterLinkEvents* events) { return NewGrpcLink(link, events); });
}

}  // namespace shoal::worker
