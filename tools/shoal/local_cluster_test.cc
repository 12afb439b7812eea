#include "tools/shoal/local_cluster.h"

#include <sys/stat.h>

#include <filesystem>
#include <string>

#include "absl/status/status.h"
#include "catch2/catch.hpp"
#include "common/base/signals.h"
#include "common/storage/file.h"
#include "common/storage/test_dir.h"

namespace shoal::tools {
namespace {

TEST_CASE("A program whose log would be a pipe is not started, and nobody is waited for to read it") {
  const TestDir dir;
  REQUIRE(mkfifo((dir / "log").c_str(), 0600) == 0);
  CHECK(absl::IsInvalidArgument(ChildProcess::Start({"/bin/true"}, dir / "log").status()));
}

TEST_CASE("A stop ends the wait for a scheduler that does not come up") {
  const TestDir dir;
  LocalCluster::Options options;
  options.folder = dir / "run";
  options.programs.scheduler = dir / "scheduler";
  REQUIRE(PosixEnv()->WriteFileAtomic(options.programs.scheduler, "#!/bin/sh\nexec sleep 600\n").ok());
  std::filesystem::permissions(options.programs.scheduler, std::filesystem::perms::owner_all);
  const auto stop = StopSignal::Install();
  REQUIRE(stop.ok());
  options.stop = stop->get();
  (*stop)->Request();
  CHECK(absl::IsCancelled(LocalCluster::Start(options).status()));
}

}  // namespace
}  // namespace shoal::tools
