// What servers and workers have in common on the command line and in main.
#pragma once

#include <functional>
#include <string>

#include "CLI/CLI.hpp"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/base/signals.h"
#include "common/rpc/session_client.h"
#include "proto/scheduler.pb.h"

namespace shoal {

// The flags of nodes that join a scheduler.
struct NodeFlags {
  std::string scheduler;
  std::string name;  // empty: the scheduler assigns one
  std::string work_dir;
  int threads = 1;
  int leave_seconds = 10;

  // `role`: "server", "worker".
  void AddTo(CLI::App* app, const std::string& role);

  absl::Duration leave_timeout() const { return absl::Seconds(leave_seconds); }

  // For the log, before the scheduler has assigned a name.
  std::string LogName(const std::string& role) const { return name.empty() ? role : name; }

  // A session with the scheduler, for a new incarnation; the caller fills in the role's own fields of `join`.
  SessionOptions Session(NodeRole role) const;
};

// Returns after `leave` when `stop` is requested, or with the error that `refused` returns. `refused` blocks
// for a while, waiting for one.
absl::Status WaitForStop(const StopSignal& stop, const std::function<absl::Status()>& refused,
                         const std::function<void()>& leave);

}  // namespace shoal
