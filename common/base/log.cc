#include "common/base/log.h"

#include "spdlog/spdlog.h"

namespace shoal {
namespace {

spdlog::level::level_enum LevelOf(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
    case LogLevel::kCritical:
      return spdlog::level::critical;
  }
  return spdlog::level::err;
}

}  // namespace

void WriteLog(LogLevel level, absl::string_view message) {
  spdlog::log(LevelOf(level), spdlog::string_view_t(message.data(), message.size()));
}

void EndLog() { spdlog::shutdown(); }

void SilenceLog() { spdlog::set_level(spdlog::level::off); }

}  // namespace shoal
