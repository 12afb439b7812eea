#include "tools/shoal/local_cluster.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "common/base/clock.h"
#include "common/base/status.h"

namespace shoal::tools {
namespace {

constexpr absl::Duration kStartTimeout = absl::Seconds(30);
constexpr absl::Duration kPoll = absl::Milliseconds(5);

std::string FolderOfThisProgram() {
  char path[4096];
  const ssize_t size = readlink("/proc/self/exe", path, sizeof(path));
  return size > 0 ? DirName(absl::string_view(path, size)) : ".";
}

}  // namespace

absl::StatusOr<DaemonPrograms> DaemonPrograms::Find() {
  const std::string here = FolderOfThisProgram();
  std::vector<DaemonPrograms> candidates = {
      {JoinPath(here, "shoal-scheduler"), JoinPath(here, "shoal-server"), JoinPath(here, "shoal-worker")}};
  // bazel-bin/tools/shoal, or bazel-bin/tests/<folder>.
  const std::string root = JoinPath(here, "../..");
  candidates.push_back({JoinPath(root, "scheduler/shoal-scheduler"), JoinPath(root, "server/shoal-server"),
                        JoinPath(root, "worker/shoal-worker")});
  for (const DaemonPrograms& programs : candidates) {
    if (access(programs.scheduler.c_str(), X_OK) == 0 && access(programs.server.c_str(), X_OK) == 0 &&
        access(programs.worker.c_str(), X_OK) == 0) {
      return programs;
    }
  }
  return absl::NotFoundError(absl::StrCat("shoal-scheduler, shoal-server and shoal-worker are neither in ",
                                          here, " nor where Bazel builds them (", root,
                                          "): build them with `bazel build -c opt //...`"));
}

std::string EndOfLog(const std::string& path, size_t count) {
  const auto text = PosixEnv()->ReadFile(path);
  if (!text.ok()) return "";
  std::vector<absl::string_view> lines = absl::StrSplit(absl::StripTrailingAsciiWhitespace(*text), '\n');
  if (lines.size() > count) lines.erase(lines.begin(), lines.end() - count);
  return absl::StrJoin(lines, "\n");
}

absl::StatusOr<std::unique_ptr<LocalCluster>> LocalCluster::Start(Options options) {
  Env* const env = PosixEnv();
  for (const char* folder : {"state", "logs", "work"})
    SHOAL_RETURN_IF_ERROR(env->CreateDirs(JoinPath(options.folder, folder)));
  std::unique_ptr<LocalCluster> cluster(new LocalCluster(std::move(options)));
  SHOAL_RETURN_IF_ERROR(cluster->StartScheduler());
  return cluster;
}

std::string LocalCluster::LogOf(const std::string& name) const {
  return JoinPath(JoinPath(options_.folder, "logs"), absl::StrCat(name, ".log"));
}

absl::Status LocalCluster::WaitForPort(const std::string& port_file) {
  const absl::Time deadline = MonotonicNow() + kStartTimeout;
  while (!PosixEnv()->FileExists(port_file)) {
    const auto ended = processes_["scheduler"]->Ended();
    if (ended || MonotonicNow() > deadline) {
      return absl::UnavailableError(absl::StrCat("the scheduler did not start (",
                                                 ended.value_or("no port in time"), "):\n",
                                                 EndOfLog(LogOf("scheduler"))));
    }
    if (options_.stop != nullptr && options_.stop->requested()) return absl::CancelledError("interrupted");
    absl::SleepFor(kPoll);
  }
  return absl::OkStatus();
}

absl::Status LocalCluster::StartScheduler() {
  Env* const env = PosixEnv();
  // Used only by this process, and deleted once it has been read.
  const std::string port_file = JoinPath(options_.folder, absl::StrCat("work/scheduler-", getpid(), ".port"));
  if (env->FileExists(port_file)) SHOAL_RETURN_IF_ERROR(env->DeleteFile(port_file));
  std::vector<std::string> arguments = {options_.programs.scheduler,
                                        "--listen",
                                        scheduler_address_.empty() ? "127.0.0.1:0" : scheduler_address_,
                                        "--port-file",
                                        port_file,
                                        "--state-dir",
                                        JoinPath(options_.folder, "state"),
                                        "--checkpoint-dir",
                                        JoinPath(options_.folder, "checkpoints")};
  arguments.insert(arguments.end(), options_.scheduler_flags.begin(), options_.scheduler_flags.end());
  SHOAL_ASSIGN_OR_RETURN(processes_["scheduler"], ChildProcess::Start(arguments, LogOf("scheduler")));
  SHOAL_RETURN_IF_ERROR(WaitForPort(port_file));
  SHOAL_ASSIGN_OR_RETURN(const std::string port, env->ReadFile(port_file));
  scheduler_address_ = absl::StrCat("127.0.0.1:", absl::StripAsciiWhitespace(port));
  return env->DeleteFile(port_file);
}

absl::Status LocalCluster::RestartScheduler() {
  processes_.erase("scheduler");
  return StartScheduler();
}

absl::Status LocalCluster::AddNode(const std::string& role, int number, const std::string& program,
                                   int threads, const std::vector<std::string>& flags) {
  const std::string name = absl::StrCat(role, "-", number);
  std::vector<std::string> arguments = {program,
                                        "--scheduler",
                                        scheduler_address_,
                                        "--name",
                                        name,
                                        "--threads",
                                        absl::StrCat(threads),
                                        "--work-dir",
                                        JoinPath(JoinPath(options_.folder, "work"), name)};
  arguments.insert(arguments.end(), flags.begin(), flags.end());
  SHOAL_ASSIGN_OR_RETURN(processes_[name], ChildProcess::Start(arguments, LogOf(name)));
  return absl::OkStatus();
}

absl::Status LocalCluster::AddServer() {
  return AddNode("server", ++servers_, options_.programs.server, 1, options_.server_flags);
}

absl::Status LocalCluster::AddWorker() {
  return AddNode("worker", ++workers_, options_.programs.worker, options_.worker_threads,
                 options_.worker_flags);
}

absl::StatusOr<ChildProcess*> LocalCluster::Find(const std::string& name) {
  const auto found = processes_.find(name);
  if (found == processes_.end() || found->second == nullptr)
    return absl::NotFoundError(absl::StrCat("there is no process ", name));
  return found->second.get();
}

void LocalCluster::Stop(absl::Duration timeout) {
  const absl::Time deadline = MonotonicNow() + timeout;
  std::vector<ChildProcess*> nodes;
  for (const auto& [name, process] : processes_) {
    if (name != "scheduler" && process != nullptr) nodes.push_back(process.get());
  }
  for (ChildProcess* node : nodes) node->Signal(SIGTERM);
  for (ChildProcess* node : nodes)
    (void)node->WaitEnded(std::max(deadline - MonotonicNow(), absl::ZeroDuration()));
  ChildProcess* const scheduler = processes_["scheduler"].get();
  if (scheduler != nullptr) {
    scheduler->Signal(SIGTERM);
    (void)scheduler->WaitEnded(std::max(deadline - MonotonicNow(), absl::Seconds(1)));
  }
  processes_.clear();
}

}  // namespace shoal::tools
