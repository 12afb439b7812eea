// shoal-server: holds a shard of a job's parameters and updates it.
#include <memory>
#include <string>

#include "CLI/CLI.hpp"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/base/command_line.h"
#include "common/base/status.h"
#include "common/rpc/address.h"
#include "common/rpc/daemon.h"
#include "common/rpc/node_flags.h"
#include "server/parameter_service.h"
#include "server/server_daemon.h"

namespace shoal::server {
namespace {

struct Flags {
  DaemonFlags daemon;
  NodeFlags node;
  std::string advertise;
};

// Workers on other machines must be able to use the advertised address.
absl::Status CheckAdvertised(const Flags& flags) {
  if (!IsWildcard(flags.advertise.empty() ? flags.daemon.listen : flags.advertise)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      flags.advertise.empty() ? absl::StrCat("--listen ", flags.daemon.listen,
                                             " covers every address of this machine: name the one that "
                                             "workers can reach, for example --advertise 10.0.0.6:7071")
                              : absl::StrCat("--advertise ", flags.advertise,
                                             ": expected an address at which workers can reach this "
                                             "server, for example 10.0.0.6:7071"));
}

absl::Status Run(const Flags& flags) {
  SHOAL_RETURN_IF_ERROR(CheckAdvertised(flags));
  SHOAL_ASSIGN_OR_RETURN(const std::unique_ptr<Daemon> daemon,
                         Daemon::Start(flags.daemon, flags.node.LogName("server")));
  SHOAL_RETURN_IF_ERROR(daemon->PrepareFolder("--work-dir", flags.node.work_dir));
  ServerDaemon::Options options;
  options.channel = NewChannel(flags.node.scheduler);
  options.work_dir = flags.node.work_dir;
  options.threads = flags.node.threads;
  options.env = daemon->env();
  ServerDaemon node(std::move(options));
  ParameterServiceImpl service([&node](JobId job) { return node.Find(job); });
  SHOAL_ASSIGN_OR_RETURN(const std::unique_ptr<RpcServer> server, daemon->Serve({&service}));
  SessionOptions session = flags.node.Session(NODE_ROLE_SERVER);
  session.join.set_address(flags.advertise.empty() ? server->address() : flags.advertise);
  node.Join(std::move(session));
  const absl::Status refused = WaitForStop(
      daemon->stop(), [&] { return node.WaitRefused(absl::Milliseconds(100)); },
      [&] { node.Leave(flags.node.leave_timeout()); });
  daemon->ExitWithin(Daemon::kExitPatience, refused);
  server->Shutdown(absl::Milliseconds(200));
  return refused;
}

int Main(int argc, char** argv) {
  CLI::App app("Shoal's parameter server: holds a shard of a job's parameters and updates it.",
               "shoal-server");
  Flags flags;
  flags.daemon.AddTo(&app);
  flags.node.AddTo(&app, "server");
  app.add_option("--advertise", flags.advertise,
                 "Address at which workers can reach this server (default: the one it listens on)")
      ->type_name("HOST:PORT")
      ->check(AddressProblem);
  app.footer(
      "Example:\n  shoal-server --scheduler 127.0.0.1:7070 --name server-1\n"
      "On a cluster of machines:\n  shoal-server --scheduler 10.0.0.5:7070 --listen 0.0.0.0:7071 "
      "--allow-remote --advertise 10.0.0.6:7071");
  return DaemonMain(&app, argc, argv, [&] { return Run(flags); });
}

}  // namespace
}  // namespace shoal::server

int main(int argc, char** argv) { return shoal::RunMain("shoal-server", shoal::server::Main, argc, argv); }
