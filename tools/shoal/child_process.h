// A daemon as a child process.
#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace shoal::tools {

// Not thread-safe. The child is in a process group of its own, so a Ctrl-C at the terminal does not reach it.
// The kernel kills it when the thread that started it ends.
class ChildProcess {
 public:
  // Runs `arguments`; the first one is the program's path. Standard output and error go to `log_file`
  // (appended). Errors: the system's.
  static absl::StatusOr<std::unique_ptr<ChildProcess>> Start(const std::vector<std::string>& arguments,
                                                             const std::string& log_file);
  // Sends SIGKILL if it is still running.
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  pid_t pid() const { return pid_; }
  // How it ended ("exit status 1", "signal 9"); nullopt while it runs.
  std::optional<std::string> Ended();
  void Signal(int number);
  // Returns false when it is still running after `timeout`.
  bool WaitEnded(absl::Duration timeout);

 private:
  explicit ChildProcess(pid_t pid) : pid_(pid) {}

  const pid_t pid_;
  std::optional<std::string> ended_;
};

}  // namespace shoal::tools
