// shoal-worker: computes gradients and pushes them to the parameter servers.
#include <cstdlib>
#include <memory>
#include <string>

#include "CLI/CLI.hpp"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/base/command_line.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/rpc/daemon.h"
#include "common/rpc/node_flags.h"
#include "kernels/cpu/cpu_device.h"
#include "worker/text/text_program.h"
#include "worker/worker_daemon.h"

namespace shoal::worker {
namespace {

// How long a running slot, or a read of data, may take to end when the daemon stops.
constexpr absl::Duration kSlotPatience = absl::Seconds(20);

struct Flags {
  DaemonFlags daemon;
  NodeFlags node;
};

absl::Status Run(const Flags& flags) {
  SHOAL_ASSIGN_OR_RETURN(const std::unique_ptr<Daemon> daemon,
                         Daemon::Start(flags.daemon, flags.node.LogName("worker")));
  SHOAL_RETURN_IF_ERROR(daemon->PrepareFolder("--work-dir", flags.node.work_dir));
  SHOAL_ASSIGN_OR_RETURN(const kernels::CpuDeviceOptions device_options,
                         kernels::CpuDeviceOptions::FromEnvironment(flags.node.threads));
  SHOAL_ASSIGN_OR_RETURN(const std::unique_ptr<kernels::CpuDevice> device,
                         kernels::CpuDevice::Create(device_options));
  LogInfo("Computing with ", device->Describe());
  // A worker serves only its health check.
  SHOAL_ASSIGN_OR_RETURN(const std::unique_ptr<RpcServer> server, daemon->Serve({}));
  WorkerDaemon::Options options;
  options.session = flags.node.Session(NODE_ROLE_WORKER);
  options.session.join.set_address(server->address());
  options.session.join.set_instruction_set(std::string(kernels::IsaName(device->isa())));
  options.work_dir = flags.node.work_dir;
  options.env = daemon->env();
  WorkerDaemon node(std::move(options),
                    std::make_unique<TextProgramBuilder>(daemon->env(), device.get(), flags.node.threads));
  const absl::Status refused = WaitForStop(
      daemon->stop(), [&] { return node.WaitRefused(absl::Milliseconds(100)); },
      [&] { node.Leave(flags.node.leave_timeout()); });
  server->Shutdown(absl::Milliseconds(200));
  const absl::Status stopped = node.Stop(kSlotPatience);
  if (!stopped.ok()) {
    // Nothing that is running needs to survive, and a hanging thread can't be joined.
    LogError("Exiting with work still running: ", stopped.message());
    EndLog();
    std::_Exit(kExitFailure);
  }
  return refused;
}

int Main(int argc, char** argv) {
  CLI::App app("Shoal's worker: computes gradients and pushes them to the parameter servers.",
               "shoal-worker");
  Flags flags;
  flags.daemon.AddTo(&app);
  flags.node.AddTo(&app, "worker");
  app.footer("Example:\n  shoal-worker --scheduler 127.0.0.1:7070 --name worker-1 --threads 2");
  return DaemonMain(&app, argc, argv, [&] { return Run(flags); });
}

}  // namespace
}  // namespace shoal::worker

int main(int argc, char** argv) { return shoal::RunMain("shoal-worker", shoal::worker::Main, argc, argv); }
