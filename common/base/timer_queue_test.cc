#include "common/base/timer_queue.h"

#include <vector>

#include "absl/synchronization/notification.h"
#include "catch2/catch.hpp"

namespace shoal {
namespace {

TEST_CASE("Tasks run in order of their time, and may add tasks") {
  std::vector<int> ran;
  absl::Notification done;
  TimerQueue queue;
  queue.After(absl::Milliseconds(30), [&] {
    ran.push_back(3);
    done.Notify();
  });
  queue.After(absl::ZeroDuration(), [&] {
    ran.push_back(1);
    queue.After(absl::ZeroDuration(), [&] { ran.push_back(2); });
  });
  REQUIRE(done.WaitForNotificationWithTimeout(absl::Seconds(10)));
  CHECK(ran == std::vector<int>{1, 2, 3});
}

TEST_CASE("Stop drops the queued tasks") {
  bool ran = false;
  TimerQueue queue;
  queue.After(absl::Hours(1), [&] { ran = true; });
  queue.Stop();
  queue.After(absl::ZeroDuration(), [&] { ran = true; });
  CHECK_FALSE(ran);
}

}  // namespace
}  // namespace shoal
