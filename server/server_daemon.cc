#include "server/server_daemon.h"

#include <utility>

#include "common/base/timer_queue.h"

namespace shoal::server {

ServerDaemon::ServerDaemon(Options options)
    : options_(std::move(options)),
      artifacts_({options_.env, JoinPath(options_.work_dir, "artifacts"), options_.channel}),
      node_(NodeOptions()) {}

ServerJobs::Options ServerDaemon::NodeOptions() {
  ServerJobs::Options options;
  options.threads = options_.threads;
  options.env = options_.env;
  options.executors = NewThreadExecutor;
  options.peers = &peers_;
  options.report = [this](NodeReport report) { session_->Send(std::move(report)); };
  options.fetch = [this](const Artifact& artifact, const Progress& progress) {
    artifacts_.MakeRoom({artifact});
    return artifacts_.Fetch(artifact, progress);
  };
  return options;
}

void ServerDaemon::Join(SessionOptions session) {
  SessionCallbacks callbacks;
  callbacks.on_joined = [this](const JoinResponse& joined) {
    const absl::MutexLock lock(&joining_);
    node_.OnJoined(NodeId(joined.node_id()));
  };
  callbacks.on_session_opened = [this] { node_.OnSessionOpened(); };
  callbacks.on_directive = [this](const Directive& directive) { node_.OnDirective(directive); };
  callbacks.on_lease_lost = [this] { node_.OnLeaseLost(); };
  callbacks.heartbeat = [this] { return node_.MakeHeartbeat(); };
  const absl::MutexLock lock(&joining_);
  session_ = std::make_unique<SessionClient>(std::move(session), std::move(callbacks));
}

ServerDaemon::~ServerDaemon() {
  if (session_ != nullptr) session_->Stop();
}

}  // namespace shoal::server
