// A cluster of real daemons on this machine, over loopback.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/signals.h"
#include "common/storage/file.h"
#include "tools/shoal/child_process.h"

namespace shoal::tools {

// The paths of the daemons' programs.
struct DaemonPrograms {
  std::string scheduler, server, worker;

  // Looks next to this program, as in an installation, and where Bazel has built them. Errors: NOT_FOUND that
  // says where it looked.
  static absl::StatusOr<DaemonPrograms> Find();
};

// Not thread-safe. No process outlives it.
class LocalCluster {
 public:
  struct Options {
    DaemonPrograms programs;
    std::string
        folder;  // for state, logs and working files; with the same folder again the scheduler continues
    int worker_threads = 1;
    std::vector<std::string> scheduler_flags, server_flags, worker_flags;  // in addition to the required ones
    const StopSignal* stop = nullptr;  // if any, a stop ends the wait for the scheduler
  };
  // Starts the scheduler and waits until it serves. Errors include the end of its log; CANCELLED when a stop
  // is requested before it serves (it is killed).
  static absl::StatusOr<std::unique_ptr<LocalCluster>> Start(Options options);
  // Sends SIGKILL to what is still running.
  ~LocalCluster() = default;

  // "host:port" of the scheduler; the same after RestartScheduler.
  const std::string& scheduler() const { return scheduler_address_; }

  // Names: "server-1", ...; "worker-1", ...
  absl::Status AddServer();
  absl::Status AddWorker();
  absl::Status RestartScheduler();
  // By name, "scheduler" too. Errors: NOT_FOUND.
  absl::StatusOr<ChildProcess*> Find(const std::string& name);
  const std::map<std::string, std::unique_ptr<ChildProcess>>& processes() const { return processes_; }
  std::string LogOf(const std::string& name) const;

  // Sends SIGTERM to servers and workers, then to the scheduler; a process that does not end in time is
  // killed.
  void Stop(absl::Duration timeout);

 private:
  explicit LocalCluster(Options options) : options_(std::move(options)) {}
  absl::Status StartScheduler();
  // Waits until the scheduler, which writes this file, serves.
  absl::Status WaitForPort(const std::string& port_file);
  absl::Status AddNode(const std::string& role, int number, const std::string& program, int threads,
                       const std::vector<std::string>& flags);

  const Options options_;
  std::string scheduler_address_;
  int servers_ = 0, workers_ = 0;
  std::map<std::string, std::unique_ptr<ChildProcess>> processes_;
};

// The last lines of a log, for messages; "" when there is none.
std::string EndOfLog(const std::string& path, size_t lines = 5);

}  // namespace shoal::tools
