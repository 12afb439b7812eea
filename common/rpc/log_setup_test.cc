#include "common/rpc/log_setup.h"

#include <sys/stat.h>

#include <string>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "catch2/catch.hpp"
#include "common/base/log.h"
#include "common/storage/file.h"
#include "common/storage/test_dir.h"

namespace shoal {
namespace {

TEST_CASE("A record of the log is one line, whatever a peer or a file put into it") {
  const TestDir dir;
  LogOptions options;
  options.name = "scheduler";
  options.file = dir / "log";
  options.to_stderr = false;
  REQUIRE(InitLogging(options).ok());
  LogWarning("worker-1 can't take part: \x1b[2J\nall is well\xff");
  LogInfo("second\nline");
  const auto log = PosixEnv()->ReadFile(options.file);
  REQUIRE(log.ok());
  CHECK(absl::StrContains(*log, "warning scheduler worker-1 can't take part: ?[2J all is well?\n"));
  CHECK(absl::EndsWith(*log, "info scheduler second line\n"));
}

TEST_CASE("A log file that is a pipe is refused, and nobody is waited for to read it") {
  const TestDir dir;
  LogOptions options;
  options.file = dir / "pipe";
  REQUIRE(mkfifo(options.file.c_str(), 0600) == 0);
  const absl::Status status = InitLogging(options);
  CHECK(absl::IsInvalidArgument(status));
  CHECK(absl::StrContains(status.message(), options.file));
}

}  // namespace
}  // namespace shoal
