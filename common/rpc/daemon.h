// What the daemons have in common: command line, log, port, stop.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/event.h"
#include "common/base/signals.h"
#include "common/rpc/rpc.h"
#include "common/storage/fault_env.h"
#include "common/storage/file.h"

namespace shoal {

// The flags of every daemon.
struct DaemonFlags {
  std::string listen = "127.0.0.1:0";
  bool allow_remote = false;
  std::string port_file;
  std::string log_file;
  std::string log_level = "info";
  std::string fault;  // tests: common/storage/fault_env.h

  void AddTo(CLI::App* app);
};

// Exit codes of the daemons.
inline constexpr int kExitOk = 0;       // stopped on request
inline constexpr int kExitFailure = 1;  // could not start or continue
inline constexpr int kExitUsage = 2;    // bad command line, or a folder there that can't be used

// Calls `run` with the parsed command line of `app` and turns what it returns into an exit code. Errors go to
// stderr, one line. Throws nothing.
int DaemonMain(CLI::App* app, int argc, char** argv, const std::function<absl::Status()>& run);

// A process's environment, from its flags. One per process; create it first.
class Daemon {
 public:
  // Sets up memory, log, signals and files. `name` appears in the log. Errors: those of CheckListening,
  // before anything is written.
  static absl::StatusOr<std::unique_ptr<Daemon>> Start(const DaemonFlags& flags, const std::string& name);

  // Creates the folder that `flag` names, if it does not exist, and checks that files can be written there.
  // Errors, with the flag: RESOURCE_EXHAUSTED for a full disk; INVALID_ARGUMENT, as for any bad value.
  absl::Status PrepareFolder(absl::string_view flag, const std::string& folder);

  // Serves `services` (which must outlive the server) on the flags' address, with health check and
  // reflection, then writes the port file. `window_bytes`: see ServerOptions.
  absl::StatusOr<std::unique_ptr<RpcServer>> Serve(std::vector<grpc::Service*> services,
                                                   int window_bytes = 0);

  // The process is about to end with `result`. If it has not ended within `patience`, it exits without
  // waiting for what still runs, and logs that: a thread that waits for a disk which does not respond can't
  // be joined. Call once.
  static constexpr absl::Duration kExitPatience = absl::Seconds(5);
  void ExitWithin(absl::Duration patience, const absl::Status& result);
  ~Daemon();

  const StopSignal& stop() const { return *stop_; }
  Env* env() { return env_; }

 private:
  Daemon() = default;

  DaemonFlags flags_;
  std::unique_ptr<StopSignal> stop_;
  std::unique_ptr<FaultEnv> faults_;
  Env* env_ = nullptr;
  Event over_;
  std::thread exit_;  // ends the process when it does not end in time
};

}  // namespace shoal
