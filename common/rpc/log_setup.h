// The log of a process: sets up what common/base/log.h writes to.
//
// Lines: 2026-01-31T12:00:00.123Z info worker-1 message. A message stays on its line, without control
// characters (common/base/plain_text.h).
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace shoal {

struct LogOptions {
  std::string name;            // of the node, in each line
  std::string level = "info";  // trace, debug, info, warn, error, off
  std::string file;            // appended to; "": none. Its folder is created
  bool to_stderr = true;
};

// Sets spdlog's default logger. Every line is flushed, so that the log of a killed process is complete.
// Errors: INVALID_ARGUMENT for an unknown level; those of opening the file. On an error the previous logger
// stays. Call it again to change options; not while other threads log.
absl::Status InitLogging(const LogOptions& options);

}  // namespace shoal
