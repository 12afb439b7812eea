#include "common/protocol/view_key.h"

#include "catch2/catch.hpp"
#include "proto/parameter.pb.h"
#include "proto/scheduler.pb.h"

namespace shoal {
namespace {

constexpr ViewKey kHeld = {JobId(1), TrainingId(0xc0ffee), ViewId(3)};

TEST_CASE("A key survives in each message that has one") {
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
          "got " + other.ToString() + "; this node has job 1, training 0000000000c0ffee, view 3");
  }
  CHECK(absl::IsFailedPrecondition(CheckKey(ViewKey(), ViewKey())));
}

TEST_CASE("A view may follow one of its training, whatever their numbers, and none of another") {
  ViewKey next = {kHeld.job, kHeld.training, ViewId(1)};
  CHECK(CheckSameTraining(next, kHeld).ok());
  CHECK(CheckSameTraining(next, ViewKey()).ok());
  next.training = TrainingId(5);
  CHECK(absl::IsFailedPrecondition(CheckSameTraining(next, kHeld)));
  CHECK(CheckSameTraining(next, ViewKey()).ok());
}

TEST_CASE("A view's successor is the same view, whatever its target, or one with a greater number") {
  View held;
  SetKey(kHeld, &held);
  held.mutable_restore()->set_restore_id(4);
  held.mutable_target()->set_version(10);
  View next = held;
  CHECK(CheckSuccessor(next, held).ok());
  CHECK(CheckSuccessor(next, View()).ok());
  next.mutable_target()->set_version(20);
  CHECK(CheckSuccessor(next, held).ok());
  next.mutable_restore()->set_restore_id(5);
  CHECK(absl::IsOutOfRange(CheckSuccessor(next, held)));
  next.set_view(kHeld.view.value() + 1);
  CHECK(CheckSuccessor(next, held).ok());
  next.mutable_restore()->set_restore_id(3);
  CHECK(absl::IsOutOfRange(CheckSuccessor(next, held)));
  next.mutable_restore()->set_restore_id(4);
  CHECK(CheckSuccessor(next, held).ok());
  next.mutable_restore()->set_nonce(1);  // another one of that number
  CHECK(absl::IsOutOfRange(CheckSuccessor(next, held)));
  CHECK(absl::IsOutOfRange(CheckSuccessor(held, next)));
  next.set_training_id(5);
  CHECK(absl::IsFailedPrecondition(CheckSuccessor(next, held)));
}

}  // namespace
}  // namespace shoal
