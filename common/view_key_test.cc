#include "common/view_key.h"

#include "catch2/catch.hpp"
#include "proto/parameter.pb.h"
#include "proto/scheduler.pb.h"

namespace shoal {
namespace {

constexpr ViewKey kHeld = {JobId(1), TrainingId(0xc0ffee), ViewId(3)};

TEST_CASE("A key comes through each message that has one") {
  const auto through = [](auto message) {
    SetKey(kHeld, &message);
    return KeyOf(message) == kHeld;
  };
  CHECK(through(View()));
  CHECK(through(ContributionHeader()));
  CHECK(through(PublishedHeader()));
  CHECK(through(PullRequest()));
  CHECK(through(Norms()));
  CHECK(through(NormsRequest()));
  CHECK(through(VersionsRequest()));
}

TEST_CASE("A key that differs in job, training or view is refused with both; no view is nobody's") {
  CHECK(CheckKey(kHeld, kHeld).ok());
  for (const ViewKey& other :
       {ViewKey{JobId(2), kHeld.training, kHeld.view}, ViewKey{kHeld.job, TrainingId(5), kHeld.view},
        ViewKey{kHeld.job, kHeld.training, ViewId(2)}}) {
    const absl::Status status = CheckKey(other, kHeld);
    CHECK(absl::IsFailedPrecondition(status));
    CHECK(status.message() ==
          "got " + other.ToString() + "; here is job 1, training 0000000000c0ffee, view 3");
  }
  CHECK(absl::IsFailedPrecondition(CheckKey(ViewKey(), ViewKey())));
}

TEST_CASE("A view may follow one of its training, whatever their numbers, and none of another") {
  ViewKey next = {kHeld.job, kHeld.training, ViewId(1)};
  CHECK(CheckSameTraining(next, kHeld).ok());
  CHECK(CheckSameTraining(next, ViewKey()).ok());
  CHECK(absl::IsOutOfRange(CheckNotOlder(next, kHeld)));
  CHECK(CheckNotOlder(kHeld, kHeld).ok());
  CHECK(CheckNotOlder(kHeld, next).ok());
  next.training = TrainingId(5);
  CHECK(absl::IsFailedPrecondition(CheckSameTraining(next, kHeld)));
  CHECK(CheckSameTraining(next, ViewKey()).ok());
}

}  // namespace
}  // namespace shoal
