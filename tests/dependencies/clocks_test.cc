// No daemon measures a duration, or waits, by the wall clock: setting it back would stop heartbeats, leases
// and timers. Use common/base/executor.h, common/base/event.h and common/base/clock.h instead.
#include <map>
#include <set>
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

// Calls that wait, or tell the time, by the wall clock.
constexpr const char* kWallClock[] = {
    "absl::Now(",      "AwaitWithTimeout", "AwaitWithDeadline",
    "WaitWithTimeout", "WaitWithDeadline", "WaitForNotificationWith",
    "absl::SleepFor",  "system_clock",     "time(nullptr)",
    "gettimeofday",    "CLOCK_REALTIME",
};

// Where the wall clock is intended.
const std::set<std::pair<std::string, std::string>> kIntended = {
    {"common/rpc/artifacts.cc", "absl::SleepFor"},  // for a relative time, on a thread of its own
    {"common/base/clock.cc", "absl::Now("},         // the starting point of monotonic time
};

TEST_CASE("No daemon waits, or measures a duration, by the wall clock") {
  const std::map<std::string, std::string> sources =
      ReadCheckout({"common", "kernels", "model", "scheduler", "server", "tasks", "worker"}, {".cc", ".h"});
  REQUIRE(sources.size() > 100);
  std::vector<std::string> found;
  std::set<std::pair<std::string, std::string>> intended;
  for (const auto& [path, text] : sources) {
    if (absl::EndsWith(path, "_test.cc")) continue;
    int line_number = 0;
    for (const absl::string_view line : absl::StrSplit(text, '\n')) {
      ++line_number;
      const absl::string_view code = line.substr(0, line.find("//"));
      for (const char* pattern : kWallClock) {
        if (!absl::StrContains(code, pattern)) continue;
        if (kIntended.count({path, pattern}) > 0) {
          intended.emplace(path, pattern);
        } else {
          found.push_back(absl::StrCat(path, ":", line_number, ": ", std::string(line)));
        }
      }
    }
  }
  for (const std::string& line : found) UNSCOPED_INFO(line);
  CHECK(found.empty());
  CHECK(intended == kIntended);  // an exemption that is no longer needed would hide later violations
}

}  // namespace
}  // namespace shoal
