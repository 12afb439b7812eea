#include "scheduler/directive_queue.h"

#include <string>

#include "catch2/catch.hpp"

namespace shoal::scheduler {
namespace {

// Of job `job`, with a plan of about `bytes` bytes.
Directive PrepareWith(uint64_t job, size_t bytes) {
  Directive directive;
  directive.mutable_prepare_job()->set_job(job);
  directive.mutable_prepare_job()->mutable_plan()->set_model_config(std::string(bytes, 'x'));
  return directive;
}

TEST_CASE("Directives come out in order, and count until the next one is taken") {
  DirectiveQueue queue;
  CHECK_FALSE(queue.Pop());
  const Directive first = PrepareWith(1, 1000), second = PrepareWith(2, 500);
  REQUIRE(queue.Push(first).ok());
  REQUIRE(queue.Push(second).ok());
  CHECK(queue.bytes() == first.ByteSizeLong() + second.ByteSizeLong());
  CHECK(queue.Pop()->prepare_job().job() == 1);
  CHECK(queue.bytes() == first.ByteSizeLong() + second.ByteSizeLong());  // it is only being written
  CHECK(queue.Pop()->prepare_job().job() == 2);
  CHECK(queue.bytes() == second.ByteSizeLong());
  CHECK_FALSE(queue.Pop());
  CHECK(queue.bytes() == 0);
}

TEST_CASE("A node may leave as much unread as the bound says, and loses its session with the next byte") {
  DirectiveQueue queue;
  size_t frame = 0;  // bytes that a directive has besides its plan's
  {
    const Directive sample = PrepareWith(1, DirectiveQueue::kMaxUnreadBytes / 4);
    frame = sample.ByteSizeLong() - sample.prepare_job().plan().model_config().size();
  }
  const Directive quarter = PrepareWith(1, DirectiveQueue::kMaxUnreadBytes / 4 - frame);
  REQUIRE(quarter.ByteSizeLong() == DirectiveQueue::kMaxUnreadBytes / 4);
  for (int i = 0; i < 4; ++i) REQUIRE(queue.Push(quarter).ok());
  REQUIRE(queue.Pop());  // being written, so still unread
  CHECK(queue.bytes() == DirectiveQueue::kMaxUnreadBytes);
  Directive small;
  small.mutable_close_job()->set_job(1);
  const absl::Status status = queue.Push(small);
  CHECK(absl::IsResourceExhausted(status));
  CHECK_THAT(std::string(status.message()), Catch::Matchers::Contains("67108864 bytes are unread") &&
                                                Catch::Matchers::Contains("would exceed 64MiB"));

  SECTION("those that wait are dropped, and nothing follows them") {
    CHECK(queue.bytes() == quarter.ByteSizeLong());  // gRPC still has the one being written
    CHECK_FALSE(queue.Pop());
    CHECK(queue.Push(small) == status);
    CHECK_FALSE(queue.Pop());
    CHECK(queue.bytes() == 0);
  }
}

TEST_CASE("A node may leave a great number of small directives unread, but not any number") {
  DirectiveQueue queue;
  Directive small;
  small.mutable_close_job()->set_job(1);
  REQUIRE(queue.Push(small).ok());
  REQUIRE(queue.Pop());  // being written, so still unread
  for (size_t i = 1; i < DirectiveQueue::kMaxUnread; ++i) REQUIRE(queue.Push(small).ok());
  CHECK(queue.size() == DirectiveQueue::kMaxUnread);
  CHECK(queue.bytes() < DirectiveQueue::kMaxUnreadBytes / 10);
  const absl::Status status = queue.Push(small);
  CHECK(absl::IsResourceExhausted(status));
  CHECK_THAT(std::string(status.message()), Catch::Matchers::Contains("100000 are unread"));
  CHECK_FALSE(queue.Pop());
  CHECK(queue.Push(small) == status);
}

TEST_CASE("A session that is over keeps no directives") {
  DirectiveQueue queue;
  for (int i = 0; i < 3; ++i) REQUIRE(queue.Push(PrepareWith(1, 1000)).ok());
  queue.Clear();
  CHECK(queue.bytes() == 0);
  CHECK_FALSE(queue.Pop());
}

}  // namespace
}  // namespace shoal::scheduler
