// No daemon measures a duration, or waits, by the wall clock: whoever sets it back would stop heartbeats,
// leases and timers. common/base/executor.h, common/base/event.h and common/base/clock.h are there instead.
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "catch2/catch.hpp"
#include "tests/dependencies/checkout.h"

namespace shoal {
namespace {

// What waits, or tells the time, by the wall clock.
constexpr const char* kWallClock[] = {
    "absl::Now(",       "AwaitWithTimeout",        "AwaitWithDeadline", "WaitWithTimeout",
    "WaitWithDeadline", "WaitForNotificationWith", "absl::SleepFor",    "system_clock",
};

// Where the wall clock is meant.
const std::vector<std::pair<std::string, std::string>> kMeant = {
    {"common/base/clock.cc", "absl::Now("},  // where monotonic time begins
    {"common/storage/artifact_folder.cc",
     "absl::Now("},                             // the age of files, which processes before have left
    {"common/rpc/logging.cc", "system_clock"},  // timestamps for people
    // Until artifacts are fetched with a patience instead of a deadline.
    {"common/rpc/artifacts.cc", "absl::Now("},
    {"common/rpc/artifacts.cc", "absl::SleepFor"},
    {"common/base/signals.cc", "absl::Now("},
    {"server/server_daemon.cc", "absl::Now("},
    {"worker/simulated_link.h", "absl::Now("},
    {"worker/worker_node.cc", "absl::Now("},
};

bool IsMeant(const std::string& path, const std::string& pattern) {
  for (const auto& [file, what] : kMeant) {
    if (path == file && pattern == what) return true;
  }
  return false;
}

TEST_CASE("No daemon waits, or measures a duration, by the wall clock") {
  const std::map<std::string, std::string> sources =
      ReadCheckout({"common", "scheduler", "server", "tasks", "worker"}, {".cc", ".h"});
  REQUIRE(sources.size() > 100);
  std::vector<std::string> found;
  for (const auto& [path, text] : sources) {
    if (absl::EndsWith(path, "_test.cc")) continue;
    int line_number = 0;
    for (const absl::string_view line : absl::StrSplit(text, '\n')) {
      ++line_number;
      const absl::string_view code = line.substr(0, line.find("//"));
      for (const char* pattern : kWallClock) {
        if (absl::StrContains(code, pattern) && !IsMeant(path, pattern))
          found.push_back(absl::StrCat(path, ":", line_number, ": ", std::string(line)));
      }
    }
  }
  for (const std::string& line : found) UNSCOPED_INFO(line);
  CHECK(found.empty());
}

}  // namespace
}  // namespace shoal
