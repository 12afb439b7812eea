// Writes to the process's log, which common/rpc/log_setup.h sets up. A header of a few lines: spdlog's own
// takes longer to compile than most sources that log. Any thread.
#pragma once

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace shoal {

enum class LogLevel { kDebug, kInfo, kWarning, kError, kCritical };

void WriteLog(LogLevel level, absl::string_view message);

// The message is in parts, as for absl::StrCat.
template <typename... Parts>
void LogInfo(const Parts&... parts) {
  WriteLog(LogLevel::kInfo, absl::StrCat(parts...));
}
template <typename... Parts>
void LogWarning(const Parts&... parts) {
  WriteLog(LogLevel::kWarning, absl::StrCat(parts...));
}
template <typename... Parts>
void LogError(const Parts&... parts) {
  WriteLog(LogLevel::kError, absl::StrCat(parts...));
}

// Before the process exits without ending its threads.
void EndLog();

// From now on nothing is written: for programs that run thousands of nodes in one process.
void SilenceLog();

}  // namespace shoal
