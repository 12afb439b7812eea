// shoal-scheduler: nodes join it, users submit jobs to it.
#include <memory>
#include <string>

#include "CLI/CLI.hpp"
#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "common/base/command_line.h"
#include "common/base/log.h"
#include "common/base/random.h"
#include "common/base/status.h"
#include "common/base/timer_queue.h"
#include "common/rpc/address.h"
#include "common/rpc/daemon.h"
#include "scheduler/scheduler_node.h"
#include "scheduler/scheduler_service.h"
#include "scheduler/sqlite_store.h"

namespace shoal::scheduler {
namespace {

// Window of a stream that uploads an artifact. Sessions need little, and a thousand of them should cost
// little.
constexpr int kWindowBytes = 1 << 20;
// Largest value of a duration flag: one day.
constexpr int64_t kMaxMs = int64_t{24} * 3600 * 1000;

struct Flags {
  DaemonFlags daemon;
  std::string state_dir = "shoal-state";
  std::string checkpoint_dir;
  uint32_t lease_ms = 3000;
  uint32_t heartbeat_ms = 500;
  uint32_t session_grace_ms = 400;
  uint32_t derive_patience_ms = 10000;
  bool fixed_nodes = false;
  uint32_t storage_patience_ms = 600000;
};

absl::Status Run(const Flags& flags) {
  if (flags.lease_ms / 2 < flags.heartbeat_ms) {
    return absl::InvalidArgumentError("--lease-ms: expected at least twice --heartbeat-ms");
  }
  SHOAL_ASSIGN_OR_RETURN(const std::unique_ptr<Daemon> daemon, Daemon::Start(flags.daemon, "scheduler"));
  SchedulerNode::Options options;
  options.core.new_cluster_id = absl::StrFormat("%016x%016x", DrawRandom(), DrawRandom());
  options.core.lease = absl::Milliseconds(flags.lease_ms);
  options.core.heartbeat = absl::Milliseconds(flags.heartbeat_ms);
  options.core.session_grace = absl::Milliseconds(flags.session_grace_ms);
  options.core.derive_patience = absl::Milliseconds(flags.derive_patience_ms);
  options.core.storage_patience = absl::Milliseconds(flags.storage_patience_ms);
  options.core.fixed_nodes = flags.fixed_nodes;
  SHOAL_ASSIGN_OR_RETURN(const std::string state_dir, AbsolutePath(flags.state_dir));
  options.core.checkpoint_root = JoinPath(state_dir, "checkpoints");
  if (!flags.checkpoint_dir.empty()) {
    SHOAL_ASSIGN_OR_RETURN(options.core.checkpoint_root, AbsolutePath(flags.checkpoint_dir));
  }
  options.env = daemon->env();
  SHOAL_RETURN_IF_ERROR(daemon->PrepareFolder("--state-dir", state_dir));
  SHOAL_ASSIGN_OR_RETURN(options.store, OpenSqliteStore(JoinPath(state_dir, "scheduler.sqlite")));
  options.artifact_dir = JoinPath(state_dir, "artifacts");
  options.executors = NewThreadExecutor;
  SHOAL_ASSIGN_OR_RETURN(const std::unique_ptr<SchedulerNode> node, SchedulerNode::Start(std::move(options)));
  SchedulerServiceImpl service(node.get());
  SHOAL_ASSIGN_OR_RETURN(const std::unique_ptr<RpcServer> server, daemon->Serve({&service}, kWindowBytes));
  absl::Status failed;
  while (failed.ok() && !daemon->stop().requested()) failed = node->WaitFailed(absl::Milliseconds(100));
  LogInfo("Stopping");
  constexpr absl::Duration kGrace = absl::Seconds(2);
  daemon->ExitWithin(kGrace + Daemon::kExitPatience, failed);
  node->Stop();
  server->Shutdown(kGrace);
  return failed;
}

int Main(int argc, char** argv) {
  CLI::App app("Shoal's scheduler: nodes join it, users submit jobs to it.", "shoal-scheduler");
  Flags flags;
  flags.daemon.listen = kDefaultScheduler;
  flags.daemon.AddTo(&app);
  app.add_option("--state-dir", flags.state_dir,
                 "Folder for jobs, nodes and artifacts; a restarted scheduler continues from it")
      ->check(EmptyProblem)
      ->capture_default_str();
  app.add_option("--checkpoint-dir", flags.checkpoint_dir,
                 "Folder for checkpoints of jobs that name none, on storage that all servers share "
                 "(default: inside --state-dir)")
      ->check(EmptyProblem);
  AddNumberOption(&app, "--lease-ms", &flags.lease_ms, 2, kMaxMs,
                  "A node that has been silent for this long is considered dead");
  AddNumberOption(&app, "--heartbeat-ms", &flags.heartbeat_ms, 1, kMaxMs, "How often nodes report");
  AddNumberOption(
      &app, "--session-grace-ms", &flags.session_grace_ms, 0, kMaxMs,
      "A node whose connection broke this long ago and that has not come back is considered dead");
  AddNumberOption(&app, "--derive-patience-ms", &flags.derive_patience_ms, 0, kMaxMs,
                  "How long a job waits for a worker that can prepare it once all have refused");
  app.add_flag("--fixed-nodes", flags.fixed_nodes,
               "No other nodes will come: a job that those that are there can't do fails soon");
  AddNumberOption(&app, "--storage-patience-ms", &flags.storage_patience_ms, 0, kMaxMs,
                  "How long a job that can do nothing else waits, before it fails, for checkpoint storage "
                  "that is full or missing");
  app.footer("Example, for a cluster on one machine:\n  shoal-scheduler --state-dir /var/lib/shoal");
  return DaemonMain(&app, argc, argv, [&] { return Run(flags); });
}

}  // namespace
}  // namespace shoal::scheduler

int main(int argc, char** argv) {
  return shoal::RunMain("shoal-scheduler", shoal::scheduler::Main, argc, argv);
}
