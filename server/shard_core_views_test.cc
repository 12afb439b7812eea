// Which views a shard installs, and with which state.
#include <cstdint>
#include <functional>
#include <string>

#include "catch2/catch.hpp"
#include "server/shard_core_harness.h"

namespace shoal::server {
namespace {

TEST_CASE("An impossible view is refused, and no view is served") {
  TestShards shards(1);
  const auto code = [&](const std::function<void(View*)>& change) {
    View view = shards.view;
    view.set_view(view.view() + 1);
    view.mutable_restore()->set_restore_id(view.restore().restore_id() + 1);
    shards.view = view;
    change(&view);
    const absl::Status status = shards.servers[0]->Install(view);
    CHECK(shards.servers[0]->serving().view == ViewId(status.ok() ? view.view() : 0));
    return status.code();
  };
  CHECK(code([](View* view) { view->clear_shards(); }) == absl::StatusCode::kInvalidArgument);
  CHECK(code([](View* view) { view->mutable_shards(0)->clear_primary(); }) ==
        absl::StatusCode::kInvalidArgument);
  CHECK(code([](View* view) { *view->add_shards() = view->shards(0); }) ==
        absl::StatusCode::kInvalidArgument);
  CHECK(code([](View* view) {
          for (int i = 0; i < 9; ++i) view->add_shards();
        }) == absl::StatusCode::kInvalidArgument);
  CHECK(code([](View* view) { view->mutable_restore()->set_version(3); }) ==
        absl::StatusCode::kInvalidArgument);
  CHECK(code([](View* view) {
          view->mutable_restore()->set_checkpoint("version-9");
          view->mutable_restore()->set_version(9);
        }) == absl::StatusCode::kInvalidArgument);
  CHECK(code([](View* view) { view->mutable_restore()->set_version(~uint64_t{0}); }) ==
        absl::StatusCode::kInvalidArgument);
  CHECK(code([](View*) {}) == absl::StatusCode::kOk);
}

TEST_CASE("A new restore point starts over, and an older view is refused") {
  TestShards shards(1);
  shards.PushAll(0, {{0, 4}});
  const View old = shards.view;
  shards.InstallView(2, /*restore_id=*/2);
  CHECK(shards.servers[0]->Versions(Key(2))->highest == Version(0));
  CHECK(absl::IsFailedPrecondition(shards.servers[0]->Install(old)));
  View followed = shards.view;
  followed.set_view(3);
  followed.mutable_shards(0)->add_followers()->set_node_id(9);
  CHECK(absl::IsInvalidArgument(shards.servers[0]->Install(followed)));
}

TEST_CASE("A view of another training is refused without effect, whatever its number") {
  TestShards shards(1);
  const View view = shards.view;
  shards.InstallView(3);
  for (uint64_t number : {1, 3, 4}) {
    View other = view;
    SetKey({JobId(1), TrainingId(8), ViewId(number)}, &other);
    const absl::Status status = shards.servers[0]->Install(other);
    CHECK(absl::IsFailedPrecondition(status));
    CHECK_THAT(std::string(status.message()), Catch::Matchers::Contains("training 0000000000000008"));
    CHECK_THAT(std::string(status.message()), Catch::Matchers::Contains("training 000000000000004d"));
    CHECK(shards.servers[0]->serving() == Key(3));
  }
}

}  // namespace
}  // namespace shoal::server
