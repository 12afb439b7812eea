#include "common/rpc/node_flags.h"

#include <unistd.h>

#include <algorithm>
#include <thread>

#include "absl/strings/str_cat.h"
#include "common/base/command_line.h"
#include "common/base/log.h"
#include "common/base/random.h"
#include "common/base/release.h"
#include "common/base/timer_queue.h"
#include "common/rpc/address.h"
#include "common/rpc/rpc.h"

namespace shoal {
namespace {

int Processors() { return std::max(1u, std::thread::hardware_concurrency()); }

std::string HostName() {
  char name[256] = {};
  gethostname(name, sizeof(name) - 1);  // stays empty where there is none
  return ToNodeText(name);
}

}  // namespace

void NodeFlags::AddTo(CLI::App* app, const std::string& role) {
  work_dir = absl::StrCat("shoal-", role);
  threads = Processors();
  app->add_option("--scheduler", scheduler, "Address of the scheduler")
      ->type_name("HOST:PORT")
      ->check(AddressProblem)
      ->required();
  app->add_option(
         "--name", name,
         "Name of this node in logs and status output, unique among running nodes (default: the scheduler "
         "derives one from host, role and a number)")
      ->type_name("NAME")
      ->check(EmptyProblem)
      ->check(NodeTextProblem);
  AddNumberOption(app, "--threads", &threads, 1, 1024, "Compute threads (default: one per processor)");
  app->add_option("--work-dir", work_dir, "Folder for data that can be fetched or made again")
      ->type_name("DIR")
      ->check(EmptyProblem)
      ->capture_default_str();
  AddNumberOption(app, "--leave-seconds", &leave_seconds, 0, 86400,
                  "On SIGTERM: how long others get to take over this node's work");
}

SessionOptions NodeFlags::Session(NodeRole role) const {
  SessionOptions session;
  session.channel = NewChannel(scheduler);
  session.scheduler = scheduler;
  session.executors = NewThreadExecutor;
  session.join.set_protocol_version(kProtocolVersion);
  session.join.set_build(kBuildVersion);
  session.join.set_role(role);
  session.join.set_name(name);
  session.join.set_machine(HostName());
  session.join.set_threads(threads);
  session.join.set_incarnation(DrawRandom());
  return session;
}

absl::Status WaitForStop(const StopSignal& stop, const std::function<absl::Status()>& refused,
                         const std::function<void()>& leave) {
  while (!stop.requested()) {
    const absl::Status status = refused();
    if (!status.ok()) return status;
  }
  LogInfo("Leaving the cluster");
  leave();
  return absl::OkStatus();
}

}  // namespace shoal
