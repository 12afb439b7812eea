// A process that runs a server or a worker.
#pragma once

#include <memory>

#include "absl/time/time.h"
#include "common/rpc/session_client.h"
#include "server/peer_link.h"
#include "server/server_jobs.h"
#include "tests/simulation/made_up_builder.h"
#include "tests/simulation/made_up_program.h"
#include "tests/simulation/network.h"
#include "tests/simulation/process.h"
#include "tests/simulation/run_state.h"
#include "tests/simulation/services.h"
#include "worker/worker_jobs.h"

namespace shoal::simulation {

class NodeProcess : public Process {
 public:
  // `state`, `network` and `services` must outlive it.
  NodeProcess(RunState* state, int number, NodeRole role, Network* network, const Services* services);

  // Starts the shell, and its session with the scheduler.
  void Start();
  // Destroys what ran here, after the death of the process.
  void Bury();

  // As SIGTERM does: dies soon after the scheduler has released the node, but does not wait forever. Fails
  // the run if no release comes from a scheduler that can be reached.
  void Leave();
  bool leaving() const { return leaving_; }
  // For `length` the worker can't prepare jobs.
  void RefuseJobs(absl::Duration length) { builder_.RefuseUntil(&queue(), queue().now() + length); }

  NodeRole role() const { return role_; }
  // Null for a worker, and once it is buried.
  server::ServerJobs* server() const { return server_.get(); }

 private:
  // These return what the session tells the shell.
  SessionCallbacks StartServer();
  SessionCallbacks StartWorker();
  std::unique_ptr<worker::JobRunner> MakeRunner(worker::WorkerRounds::Options rounds,
                                                std::unique_ptr<MadeUpProgram> program);
  void Report(NodeReport report);
  // `waited`: since Leave; `unanswered`: how much of it, up to now, a scheduler could be reached.
  void AwaitRelease(absl::Duration waited, absl::Duration unanswered);
  bool IsSchedulerReachable() const;

  RunState* const state_;
  const NodeRole role_;
  Network* const network_;
  const Services* const services_;
  bool leaving_ = false;

  // What runs in the process. Destroyed in reverse order, which matters.
  NoArtifacts artifacts_;
  MadeUpBuilder builder_;
  std::unique_ptr<server::PeerLink> peers_;
  std::unique_ptr<server::ServerJobs> server_;
  std::unique_ptr<worker::WorkerJobs> worker_;
  std::unique_ptr<SessionClient> session_;
};

}  // namespace shoal::simulation
