// The subcommands of `shoal`. Each adds itself to the command line; its callback stores its outcome in the
// result.
#pragma once

#include <string>

#include "CLI/CLI.hpp"
#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace shoal::tools {

// Exit codes; part of the interface (docs/user-guide.md).
inline constexpr int kExitDone = 0;
inline constexpr int kExitError = 1;     // the cluster can't be reached, a file can't be read, ...
inline constexpr int kExitBadInput = 2;  // command line, job file or folder
inline constexpr int kExitJobFailed = 3;
inline constexpr int kExitJobCancelled = 4;
inline constexpr int kExitInterrupted = 130;  // Ctrl-C, SIGTERM
// kExitReaderGone: common/base/standard_output.h

struct CommandResult {
  absl::Status status;  // printed when it is not OK
  int exit_code = kExitDone;

  void Set(const absl::Status& new_status) {
    status = new_status;
    exit_code = status.ok() ? kExitDone : absl::IsInvalidArgument(status) ? kExitBadInput : kExitError;
  }
  void Set(const absl::StatusOr<int>& code) {
    Set(code.status());
    if (code.ok()) exit_code = *code;
  }
};

void AddTrain(CLI::App* app, CommandResult* result);
void AddSubmit(CLI::App* app, CommandResult* result);
// jobs, status, logs, cancel, export
void AddClusterCommands(CLI::App* app, CommandResult* result);
// eval, predict
void AddModelCommands(CLI::App* app, CommandResult* result);
void AddTokenize(CLI::App* app, CommandResult* result);

}  // namespace shoal::tools
