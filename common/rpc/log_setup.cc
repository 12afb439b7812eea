#include "common/rpc/log_setup.h"

#include <ctime>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/nearest_name.h"
#include "common/base/plain_text.h"
#include "common/base/status.h"
#include "common/storage/file.h"
#include "spdlog/pattern_formatter.h"
#include "spdlog/sinks/basic_file_sink.h"
#include "spdlog/sinks/stdout_sinks.h"
#include "spdlog/spdlog.h"

namespace shoal {
namespace {

// kMessage is ours.
constexpr char kMessage = '*';
constexpr char kPattern[] = "%Y-%m-%dT%H:%M:%S.%eZ %l %n %*";

// The message as one plain line: it may quote what a peer has sent, or a damaged file.
class PlainMessage final : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& record, const std::tm&, spdlog::memory_buf_t& out) override {
    const std::string line = PlainLine({record.payload.data(), record.payload.size()});
    out.append(line.data(), line.data() + line.size());
  }
  std::unique_ptr<spdlog::custom_flag_formatter> clone() const override {
    return std::make_unique<PlainMessage>();
  }
};

std::unique_ptr<spdlog::formatter> LineFormatter() {
  auto formatter = std::make_unique<spdlog::pattern_formatter>(spdlog::pattern_time_type::utc);
  formatter->add_flag<PlainMessage>(kMessage).set_pattern(kPattern);
  return formatter;
}

absl::StatusOr<spdlog::level::level_enum> ParseLevel(const std::string& name) {
  static const auto& levels = *new std::vector<std::pair<std::string, spdlog::level::level_enum>>{
      {"trace", spdlog::level::trace}, {"debug", spdlog::level::debug}, {"info", spdlog::level::info},
      {"warn", spdlog::level::warn},   {"error", spdlog::level::err},   {"off", spdlog::level::off}};
  std::vector<std::string> names;
  for (const auto& [level_name, level] : levels) {
    if (level_name == name) return level;
    names.push_back(level_name);
  }
  return absl::InvalidArgumentError(absl::StrCat("unknown log level '", name, "'; expected one of ",
                                                 absl::StrJoin(names, ", "), DidYouMean(name, names)));
}

absl::StatusOr<spdlog::sink_ptr> OpenFile(const std::string& path) {
  SHOAL_RETURN_IF_ERROR(PosixEnv()->CreateDirs(DirName(path)));
  // We open it once ourselves, because spdlog's exception has no error code.
  SHOAL_RETURN_IF_ERROR(PosixEnv()->NewWritableFile(path, WriteMode::kAppend).status());
  try {
    return std::make_shared<spdlog::sinks::basic_file_sink_mt>(path, /*truncate=*/false);
  } catch (const spdlog::spdlog_ex& error) {
    return absl::UnavailableError(absl::StrCat("log file ", path, ": ", error.what()));
  }
}

}  // namespace

absl::Status InitLogging(const LogOptions& options) {
  SHOAL_ASSIGN_OR_RETURN(const spdlog::level::level_enum level, ParseLevel(options.level));
  std::vector<spdlog::sink_ptr> sinks;
  if (options.to_stderr) sinks.push_back(std::make_shared<spdlog::sinks::stderr_sink_mt>());
  if (!options.file.empty()) {
    SHOAL_ASSIGN_OR_RETURN(spdlog::sink_ptr file, OpenFile(options.file));
    sinks.push_back(std::move(file));
  }
  auto logger = std::make_shared<spdlog::logger>(options.name, sinks.begin(), sinks.end());
  logger->set_level(level);
  logger->flush_on(spdlog::level::trace);
  logger->set_formatter(LineFormatter());
  spdlog::set_default_logger(std::move(logger));
  return absl::OkStatus();
}

}  // namespace shoal
