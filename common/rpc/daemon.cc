#include "common/rpc/daemon.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/command_line.h"
#include "common/base/log.h"
#include "common/base/plain_text.h"
#include "common/base/process_tuning.h"
#include "common/base/release.h"
#include "common/base/standard_output.h"
#include "common/base/status.h"
#include "common/rpc/log_setup.h"

namespace shoal {
namespace {

ServerOptions ServingOptions(const DaemonFlags& flags) {
  ServerOptions options;
  options.address = flags.listen;
  options.allow_remote = flags.allow_remote;
  return options;
}

}  // namespace

void DaemonFlags::AddTo(CLI::App* app) {
  app->set_version_flag("--version", kBuildVersion);
  app->add_option("--listen", listen, "Address to serve on; port 0: any free one")
      ->type_name("HOST:PORT")
      ->capture_default_str();
  app->add_flag(
      "--allow-remote", allow_remote,
      "Serve on an address that other machines can reach. Without TLS anybody there can command the daemon");
  app->add_option("--port-file", port_file, "Write the port to this file once it is being served")
      ->type_name("FILE")
      ->check(EmptyProblem);
  app->add_option("--log-file", log_file, "Append the log to this file as well (not to a pipe)")
      ->type_name("FILE")
      ->check(EmptyProblem);
  app->add_option("--log-level", log_level, "trace, debug, info, warn, error or off")
      ->type_name("LEVEL")
      ->capture_default_str();
  app->add_option("--fault", fault,
                  "For tests: file operations that fail, like path=checkpoints,error=ENOSPC")
      ->type_name("RULES");
}

int DaemonMain(CLI::App* app, int argc, char** argv, const std::function<absl::Status()>& run) {
  PrepareStandardStreams();
  const int parsed = ParseCommandLine(app, argc, argv);
  if (parsed >= 0) return ExitCodeWithOutput(app->get_name(), parsed);
  const absl::Status status = run();
  if (status.ok()) return kExitOk;
  std::fprintf(stderr, "%s: %s\n", app->get_name().c_str(), PlainLines(status.message()).c_str());
  return absl::IsInvalidArgument(status) ? kExitUsage : kExitFailure;
}

absl::StatusOr<std::unique_ptr<Daemon>> Daemon::Start(const DaemonFlags& flags, const std::string& name) {
  TuneProcess();
  std::unique_ptr<Daemon> daemon(new Daemon);
  daemon->flags_ = flags;
  SHOAL_ASSIGN_OR_RETURN(daemon->stop_, StopSignal::Install());
  SHOAL_RETURN_IF_ERROR(CheckListening(ServingOptions(flags)));
  SHOAL_RETURN_IF_ERROR(InitLogging({name, flags.log_level, flags.log_file, /*to_stderr=*/true}));
  SendGrpcLogsToSpdlog();
  daemon->env_ = PosixEnv();
  if (!flags.fault.empty()) {
    SHOAL_ASSIGN_OR_RETURN(std::vector<FaultRule> rules, ParseFaultRules(flags.fault));
    daemon->faults_ = std::make_unique<FaultEnv>(PosixEnv(), std::move(rules));
    daemon->env_ = daemon->faults_.get();
    LogWarning("Injecting faults into file operations: ", flags.fault);
  }
  return daemon;
}

absl::Status Daemon::PrepareFolder(absl::string_view flag, const std::string& folder) {
  const std::string probe = JoinPath(folder, absl::StrCat(".probe-", getpid()));
  absl::Status status = env_->CreateDirs(folder);
  if (status.ok()) status = env_->NewWritableFile(probe).status();
  // A process of the same number, on another machine, may have deleted it.
  if (status.ok()) env_->DeleteFile(probe).IgnoreError();
  if (status.ok() || absl::IsResourceExhausted(status)) return Annotate(status, flag);
  return absl::InvalidArgumentError(absl::StrCat(flag, " ", folder, ": ", status.message()));
}

void Daemon::ExitWithin(absl::Duration patience, const absl::Status& result) {
  exit_ = std::thread([this, patience, result] {
    if (over_.WaitFor(patience)) return;
    LogError("Threads are still running after ", absl::FormatDuration(patience),
             " (a disk that does not answer?): exiting anyway", (result.ok() ? "" : "; "), result.message());
    EndLog();
    std::_Exit(result.ok() ? kExitOk : kExitFailure);
  });
}

Daemon::~Daemon() {
  over_.Notify();
  if (exit_.joinable()) exit_.join();
}

absl::StatusOr<std::unique_ptr<RpcServer>> Daemon::Serve(std::vector<grpc::Service*> services,
                                                         int window_bytes) {
  ServerOptions options = ServingOptions(flags_);
  options.services = std::move(services);
  options.window_bytes = window_bytes;
  SHOAL_ASSIGN_OR_RETURN(std::unique_ptr<RpcServer> server, StartServer(options));
  LogInfo("Serving on ", server->address(), ", version ", kBuildVersion);
  if (!flags_.port_file.empty()) {
    SHOAL_RETURN_IF_ERROR(PosixEnv()->WriteFileAtomic(flags_.port_file, absl::StrCat(server->port(), "\n")));
  }
  return server;
}

}  // namespace shoal
