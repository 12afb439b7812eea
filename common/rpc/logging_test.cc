#include "common/rpc/logging.h"

#include <string>

#include "absl/strings/match.h"
#include "catch2/catch.hpp"
#include "common/storage/file.h"
#include "common/storage/test_dir.h"
#include "spdlog/spdlog.h"

namespace shoal {
namespace {

TEST_CASE("A record of the log is one line, whatever a peer or a file put into it") {
  const TestDir dir;
  LogOptions options;
  options.name = "scheduler";
  options.file = dir / "log";
  options.to_stderr = false;
  REQUIRE(InitLogging(options).ok());
  spdlog::warn("{}", "worker-1 can't take part: \x1b[2J\nall is well\xff");
  spdlog::info("second\nline");
  const auto log = PosixEnv()->ReadFile(options.file);
  REQUIRE(log.ok());
  CHECK(absl::StrContains(*log, "warning scheduler worker-1 can't take part: ?[2J all is well?\n"));
  CHECK(absl::EndsWith(*log, "info scheduler second line\n"));
}

}  // namespace
}  // namespace shoal
