// How a job at a server loads the state of a view, and what it reports of that.
#include <cerrno>
#include <memory>
#include <vector>

#include "catch2/catch.hpp"
#include "server/shard_host_harness.h"

namespace shoal::server {
namespace {

TEST_CASE("A view is installed by the executor, and requests of the older one are refused at once") {
  TestServer server;
  server.Give(MakeView(1));
  CHECK(server.Installed().empty());
  server.time.Run();
  CHECK(server.Installed() == std::vector<int>{1});
  REQUIRE(server.job()->shard().Versions(Key(1)).ok());
  server.Give(MakeView(2));
  CHECK(absl::IsFailedPrecondition(server.job()->shard().Versions(Key(1)).status()));
  server.time.Run();
  CHECK(server.Installed() == std::vector<int>{1, 2});
  CHECK(server.fetches == 1);  // the state was kept
}

TEST_CASE("A newer view of the same restore point takes over what is being loaded") {
  TestServer server;
  server.on_fetch = [&] {
    server.Give(MakeView(2));
    return absl::OkStatus();
  };
  server.Give(MakeView(1));
  server.time.Run();
  CHECK(server.Installed() == std::vector<int>{2});
  CHECK(server.fetches == 1);
  CHECK(server.job()->shard().Versions(Key(2)).ok());
}

TEST_CASE("A newer restore point drops what is being loaded") {
  TestServer server;
  server.on_fetch = [&] {
    if (server.fetches == 1) server.Give(MakeView(2, /*restore_id=*/2));
    return absl::OkStatus();
  };
  server.Give(MakeView(1));
  server.time.Run();
  CHECK(server.Installed() == std::vector<int>{2});
  CHECK(server.fetches == 2);
}

TEST_CASE("While a restore takes long, only the newest of the views that arrive waits") {
  TestServer server;
  size_t waiting = 0;
  server.on_fetch = [&] {
    if (server.fetches > 1) return absl::OkStatus();
    server.Give(MakeView(2, /*restore_id=*/2));
    waiting = server.time.tasks();
    for (uint64_t view = 3; view < 50; ++view) server.Give(MakeView(view, /*restore_id=*/view));
    CHECK(server.time.tasks() == waiting);
    return absl::OkStatus();
  };
  server.Give(MakeView(1));
  server.time.Run();
  CHECK(server.fetches == 2);
  CHECK(server.Installed() == std::vector<int>{49});
  CHECK(server.job()->shard().Versions(Key(49)).ok());
}

TEST_CASE("Closing the job, or losing the lease, ends a running restore without a report") {
  const bool by_lease = GENERATE(false, true);
  TestServer server;
  server.on_fetch = [&] {
    Directive close;
    close.mutable_close_job()->set_job(1);
    by_lease ? server.node().OnLeaseLost() : server.node().OnDirective(close);
    return absl::OkStatus();
  };
  server.Give(MakeView(1));
  const std::weak_ptr<ShardHost> job = server.job();
  server.time.RunFor(absl::Seconds(10));
  CHECK(server.reports.empty());
  CHECK(job.expired());
  CHECK(absl::IsFailedPrecondition(server.node().Find(JobId(1)).status()));
}

TEST_CASE("A failed restore is reported, again in a new session, and retried when the view comes again") {
  TestServer server;
  server.on_fetch = [] { return absl::NotFoundError("no such weights"); };
  server.Give(MakeView(1));
  server.time.Run();
  CHECK(server.Installed() == std::vector<int>{-1});
  server.node().OnSessionOpened();
  CHECK(server.Installed() == std::vector<int>{-1, -1});
  server.on_fetch = [] { return absl::OkStatus(); };
  server.Give(MakeView(1));
  server.Give(MakeView(1));
  server.time.Run();
  CHECK(server.Installed() == std::vector<int>{-1, -1, 1});
}

TEST_CASE("A restore tells missing storage and I/O errors from damage") {
  TestServer server;
  View view = MakeView(1);
  view.mutable_restore()->set_version(3);
  RestoreTrouble expected = RESTORE_TROUBLE_NONE;
  SECTION("the folder is missing") {
    view.mutable_restore()->set_checkpoint(server.dir / "nowhere/version-3");
    expected = RESTORE_TROUBLE_STORAGE;
  }
  SECTION("the version is missing") {
    view.mutable_restore()->set_checkpoint(server.dir / "version-3");
    expected = RESTORE_TROUBLE_DAMAGED;
  }
  SECTION("a sector is bad") {
    view.mutable_restore()->set_checkpoint(server.dir / "version-3");
    server.faults.SetRules({{"version-3", 0, 0, EIO}});
    expected = RESTORE_TROUBLE_UNREADABLE;
  }
  server.Give(view);
  server.time.Run();
  bool told = false;
  for (const NodeReport& report : server.reports) {
    if (!report.has_view_installed()) continue;
    told = true;
    CHECK(report.view_installed().trouble() == expected);
  }
  CHECK(told);
}

}  // namespace
}  // namespace shoal::server
