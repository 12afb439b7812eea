// What heartbeats say that a server is doing, and what a new session is told of rounds.
#include <cstdint>
#include <memory>
#include <vector>

#include "catch2/catch.hpp"
#include "common/protocol/block_checksum.h"
#include "common/protocol/payload.h"
#include "server/shard_host_harness.h"
#include "server/snapshot_queue.h"

namespace shoal::server {
namespace {

TEST_CASE("A restore reports what it loads and how long it has made no progress") {
  TestServer server;
  Heartbeat during;
  server.on_fetch = [&] {
    during = server.node().MakeHeartbeat();
    return absl::NotFoundError("no such weights");
  };
  CHECK(server.node().MakeHeartbeat().activities_size() == 0);
  server.Give(MakeView(1));
  REQUIRE(server.node().MakeHeartbeat().activities_size() == 1);  // also while it waits
  server.time.Run();
  REQUIRE(during.activities_size() == 1);
  CHECK(during.activities(0).kind() == ACTIVITY_RESTORE);
  CHECK(during.activities(0).job() == 1);
  CHECK(during.activities(0).view() == 1);
  CHECK(during.activities(0).detail() == "loads the initial parameters");
  CHECK(server.node().MakeHeartbeat().activities_size() == 0);
}

TEST_CASE("A long restore or write shows progress with each piece that is fetched, read or written") {
  constexpr double kPieceSeconds = 100;
  TestServer server;
  std::vector<ActivityKind> kinds;  // of each piece
  const auto piece = [&] {
    server.time.RunFor(absl::Seconds(kPieceSeconds));
    const Heartbeat heartbeat = server.node().MakeHeartbeat();
    REQUIRE(heartbeat.activities_size() == 1);
    CHECK(heartbeat.activities(0).idle_seconds() <= 2 * kPieceSeconds);  // opening a file is two
    kinds.push_back(heartbeat.activities(0).kind());
  };
  server.on_file = piece;
  server.on_fetch = [&] {
    for (int i = 0; i < 3; ++i) {
      piece();
      server.fetch_progress("fetches");
    }
    return absl::OkStatus();
  };
  server.Give(MakeView(1));
  server.time.Run();
  CHECK(server.Installed() == std::vector<int>{1});
  CHECK(kinds.size() >= 5);  // two blocks are read
  CHECK(kinds == std::vector<ActivityKind>(kinds.size(), ACTIVITY_RESTORE));
  kinds.clear();
  server.job()->OnSnapshot(Snapshot(1));
  server.time.Run();
  CHECK(kinds.size() >= 7);  // the header and six tensors
  CHECK(kinds == std::vector<ActivityKind>(kinds.size(), ACTIVITY_WRITE_CHECKPOINT));
}

TEST_CASE("Arriving contributions are an activity of the job, idle since a heartbeat last saw new ones") {
  TestServer server;
  server.Give(MakeView(1));
  server.time.Run();
  CHECK(server.node().MakeHeartbeat().activities_size() == 0);
  const std::vector<uint8_t> bytes(kBlockElements * sizeof(float));
  ContributionHeader header;
  SetKey(Key(1), &header);
  header.set_slot_end(1);
  header.set_wire(server.request.spec().train().wire());
  const Payload payload = Payload::CopyOf(bytes);
  header.set_crc32c(BlockChecksum(header, payload.Crc32c()));
  REQUIRE(server.job()->shard().Contribute(header, payload).ok());
  REQUIRE(server.node().MakeHeartbeat().activities_size() == 1);
  server.time.RunFor(absl::Seconds(3));
  const Heartbeat heartbeat = server.node().MakeHeartbeat();
  CHECK(heartbeat.activities(0).kind() == ACTIVITY_TRANSFER);
  CHECK(heartbeat.activities(0).job() == 1);
  CHECK(heartbeat.activities(0).idle_seconds() == 3);
}

TEST_CASE("Heartbeats say how many streams are open, and how many snapshots wait for the disk") {
  TestServer server;
  server.Give(MakeView(1));
  server.time.Run();
  const std::shared_ptr<ShardHost> job = server.job();
  const auto stream = std::make_shared<TestStream>(Key(1));
  REQUIRE(job->Attach(stream).ok());
  CHECK(LengthOf(server.node().MakeHeartbeat(), "streams") == 1);
  job->Detach(stream);
  CHECK(LengthOf(server.node().MakeHeartbeat(), "streams") == 0);
  // Nothing runs, so none is written. The job has eight rounds.
  for (uint64_t version = 1; version <= 8; ++version) {
    job->OnSnapshot(Snapshot(version));
    CHECK(LengthOf(server.node().MakeHeartbeat(), "snapshots") <= SnapshotQueue::kMaxSize);
  }
  CHECK(LengthOf(server.node().MakeHeartbeat(), "snapshots") == SnapshotQueue::kMaxSize);
  server.time.Run();
  CHECK(LengthOf(server.node().MakeHeartbeat(), "snapshots") == 0);
}

TEST_CASE("A new session gets the statistics of the last rounds that are kept, in order, each once") {
  TestServer server;
  server.Give(MakeView(1));
  server.time.Run();
  constexpr uint64_t kRounds = ShardHost::kMaxRounds + 50;
  for (uint64_t round = 0; round < kRounds; ++round) {
    ShardProgress progress;
    progress.add_rounds()->set_round(round);
    server.job()->OnProgress(progress);
  }
  server.time.RunFor(absl::Seconds(1));
  server.reports.clear();
  server.node().OnSessionOpened();
  std::vector<uint64_t> rounds;
  for (const NodeReport& report : server.reports) {
    for (const RoundStats& stats : report.shard_progress().rounds()) rounds.push_back(stats.round());
  }
  REQUIRE(rounds.size() == ShardHost::kMaxRounds);
  for (uint64_t i = 0; i < rounds.size(); ++i) REQUIRE(rounds[i] == kRounds - rounds.size() + i);
}

}  // namespace
}  // namespace shoal::server
