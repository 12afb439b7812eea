// How a server writes the snapshots of a job, also where there is no room, and what it reports of them.
#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "catch2/catch.hpp"
#include "server/shard_host_harness.h"

namespace shoal::server {
namespace {

// Of the ShardWritten reports so far: the version, negative for an error, and whether it is retried.
std::vector<std::pair<int, bool>> WrittenBy(const TestServer& server) {
  std::vector<std::pair<int, bool>> all;
  for (const NodeReport& report : server.reports) {
    if (!report.has_shard_written()) continue;
    const ShardWritten& written = report.shard_written();
    const int version = static_cast<int>(written.version());
    all.emplace_back(written.error().empty() ? version : -version, written.retried());
  }
  return all;
}

TEST_CASE(
    "A checkpoint is reported with its blocks' checksums; one with a parameter that is not finite is "
    "refused") {
  TestServer server;
  server.Give(MakeView(1));
  server.time.Run();
  server.reports.clear();
  server.job()->OnSnapshot(Snapshot(1));
  const auto snapshot = Snapshot(2);
  snapshot->blocks[1].theta.get()[3] = std::numeric_limits<float>::quiet_NaN();
  server.job()->OnSnapshot(snapshot);
  server.time.Run();
  std::vector<ShardWritten> written;
  for (const NodeReport& report : server.reports) {
    if (report.has_shard_written()) written.push_back(report.shard_written());
  }
  REQUIRE(written.size() == 2);
  CHECK(written[0].error().empty());
  CHECK(written[0].block_crc32c_size() == 6);  // two blocks: θ and two arrays
  CHECK_FALSE(written[0].not_finite());
  CHECK_THAT(written[1].error(),
             Catch::Matchers::Contains("block 1: a parameter is infinite or not a number"));
  CHECK(written[1].not_finite());
}

TEST_CASE("Snapshots waiting for a slow disk are bounded and shown, and dropped ones are reported") {
  TestServer server;
  server.Give(MakeView(1));
  server.time.Run();
  server.reports.clear();
  for (uint64_t version = 1; version <= 5; ++version) server.job()->OnSnapshot(Snapshot(version));
  server.job()->OnSnapshot(Snapshot(8));  // the last one
  const Heartbeat heartbeat = server.node().MakeHeartbeat();
  REQUIRE(heartbeat.activities_size() == 1);
  CHECK(heartbeat.activities(0).kind() == ACTIVITY_WRITE_CHECKPOINT);
  CHECK(heartbeat.activities(0).detail() == "about to write; 3 snapshots wait, 0 MiB");
  const auto written = [&](bool well) {
    std::vector<uint64_t> versions;
    for (const NodeReport& report : server.reports) {
      if (report.has_shard_written() && report.shard_written().error().empty() == well)
        versions.push_back(report.shard_written().version());
    }
    return versions;
  };
  const std::vector<uint64_t> given_up = written(false);
  CHECK(given_up.size() == 3);
  server.time.Run();
  CHECK(written(false) == given_up);
  const std::vector<uint64_t> kept = written(true);
  REQUIRE(kept.size() == 3);
  CHECK(kept.back() == 8);
  CHECK(server.node().MakeHeartbeat().activities_size() == 0);
  server.node().OnSessionOpened();  // all are reported again
  CHECK(written(true).size() == 6);
  CHECK(written(false).size() == 6);
}

TEST_CASE("A new session gets the reports of the last checkpoints, and no more than are kept") {
  TestServer server;
  server.Give(MakeView(1));
  server.time.Run();
  for (uint64_t version = 1; version <= CheckpointWriter::kMaxWritten + 20; ++version) {
    server.job()->OnSnapshotLost(*Snapshot(version), absl::ResourceExhaustedError("no memory"));
  }
  server.reports.clear();
  server.node().OnSessionOpened();
  std::vector<uint64_t> versions;
  for (const NodeReport& report : server.reports) {
    if (report.has_shard_written()) versions.push_back(report.shard_written().version());
  }
  REQUIRE(versions.size() == CheckpointWriter::kMaxWritten);
  CHECK(versions.front() == 21);
}

TEST_CASE("A snapshot for which there is no room is kept, told at once, and written when there is") {
  TestServer server;
  server.Give(MakeView(1));
  server.time.Run();
  server.faults.SetRules({{"shard-", 0, 0, GENERATE(ENOSPC, EDQUOT, EROFS)}});
  server.job()->OnSnapshot(Snapshot(8));  // the last one
  server.time.Run();
  CHECK(WrittenBy(server) == std::vector<std::pair<int, bool>>{{-8, true}});
  CHECK_THAT(server.reports.back().shard_written().error(), Catch::Matchers::Contains("version-8.1.partial"));
  server.time.RunFor(absl::Minutes(20));
  for (const auto& [version, retried] : WrittenBy(server)) CHECK((version == -8 && retried));
  const Heartbeat heartbeat = server.node().MakeHeartbeat();
  REQUIRE(heartbeat.activities_size() == 1);
  CHECK(heartbeat.activities(0).detail() == "can't write version 8, trying again");
  CHECK(heartbeat.activities(0).idle_seconds() < 6);  // it does not hang
  server.reports.clear();
  server.faults.SetRules({});
  server.time.RunFor(absl::Seconds(6));
  CHECK(WrittenBy(server) == std::vector<std::pair<int, bool>>{{8, false}});
  CHECK(server.node().MakeHeartbeat().activities_size() == 0);
}

TEST_CASE("On a full disk a snapshot that only serves to restart from gives way to the next") {
  TestServer server;
  server.Give(MakeView(1));
  server.time.Run();
  server.faults.SetRules({{"shard-", 0, 0, ENOSPC}});
  server.job()->OnSnapshot(Snapshot(1));
  server.time.Run();
  server.job()->OnSnapshot(Snapshot(2));
  server.time.RunFor(absl::Seconds(1));
  server.faults.SetRules({});
  server.time.RunFor(absl::Seconds(6));
  const auto written = WrittenBy(server);
  CHECK(std::count(written.begin(), written.end(), std::make_pair(-1, false)) == 1);
  CHECK(std::count(written.begin(), written.end(), std::make_pair(1, false)) == 0);
  CHECK(written.back() == std::make_pair(2, false));
}

TEST_CASE("An I/O error is not a full disk: it is reported, and not retried") {
  TestServer server;
  server.Give(MakeView(1));
  server.time.Run();
  server.faults.SetRules({{"shard-", 0, 0, EIO}});
  server.job()->OnSnapshot(Snapshot(8));
  server.time.RunFor(absl::Minutes(1));
  CHECK(WrittenBy(server) == std::vector<std::pair<int, bool>>{{-8, false}});
}

}  // namespace
}  // namespace shoal::server
