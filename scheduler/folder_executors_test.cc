#include "scheduler/folder_executors.h"

#include <string>

#include "catch2/catch.hpp"
#include "common/base/event.h"
#include "common/base/fake_executor.h"
#include "common/base/timer_queue.h"
#include "common/storage/fault_env.h"
#include "common/storage/test_dir.h"

namespace shoal::scheduler {
namespace {

constexpr absl::Duration kDeadline = absl::Seconds(30);

TEST_CASE(
    "A folder whose disk hangs holds up no work on other folders, and is released when it has finished") {
  const TestDir dir;
  FaultEnv env(PosixEnv(), {{"hung", 0, 0, kFaultHang}});
  FolderExecutors executors(NewThreadExecutor);
  Event hung_done, other_done;
  executors.Post("hung", [&] { (void)env.ReadFile(dir / "hung"); });
  executors.Post("hung", [&] { hung_done.Notify(); });
  REQUIRE(env.WaitForHang(kDeadline));
  executors.Post("other", [&] { other_done.Notify(); });
  CHECK(other_done.WaitFor(kDeadline));
  CHECK_FALSE(hung_done.WaitFor(absl::ZeroDuration()));
  executors.Sweep();
  CHECK(executors.size() >= 1);
  env.SetRules({});
  CHECK(hung_done.WaitFor(kDeadline));
  while (executors.size() > 0) executors.Sweep();  // a task's thread may be about to end
  executors.Stop();
  executors.Post("other", [&] { FAIL("dropped"); });
  CHECK(executors.size() == 0);
}

TEST_CASE("While a folder hangs, work that may be left out is, beyond a bound; other work is not") {
  FakeTime time;  // runs nothing until it is told to
  FolderExecutors executors(time.factory());
  size_t done = 0;
  const auto task = [&] { ++done; };
  for (size_t i = 0; i < FolderExecutors::kMaxOptional; ++i) REQUIRE(executors.PostIfRoom("hung", task));
  CHECK_FALSE(executors.PostIfRoom("hung", task));
  CHECK(executors.PostIfRoom("other", task));
  executors.Post("hung", task);
  CHECK(executors.most_optional() == FolderExecutors::kMaxOptional);  // what is shown keeps to its limit
  time.Run();
  CHECK(done == FolderExecutors::kMaxOptional + 2);
  CHECK(executors.most_optional() == 0);
  CHECK(executors.PostIfRoom("hung", task));
}

}  // namespace
}  // namespace shoal::scheduler
