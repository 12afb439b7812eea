// How a server asks its peers for norms, and what it says of those that do not answer.
#include <memory>
#include <string>

#include "catch2/catch.hpp"
#include "common/protocol/block_checksum.h"
#include "server/shard_host_harness.h"

namespace shoal::server {
namespace {

// Of shard 1 of two.
Norms AnswerOf(uint64_t round, double squared_norm, uint64_t view = 1) {
  Norms norms;
  SetKey(Key(view), &norms);
  norms.set_shard(1);
  norms.set_round(round);
  norms.add_squared_norms(squared_norm);
  norms.set_crc32c(NormsChecksum(norms));
  return norms;
}

TEST_CASE("A peer that does not answer is shown until it does, and has one call at a time") {
  TestServer server;
  View view = MakeView(1);
  NodeRef& peer = *view.add_shards()->mutable_primary();
  peer.set_node_id(9);
  peer.set_name("server-2");
  peer.set_address("10.0.0.9:1");
  server.Give(view);
  server.time.Run();
  const std::shared_ptr<ShardHost> job = server.job();
  for (uint64_t round = 0; round < 100; ++round) job->AskNorms(ViewId(1), 1, RequestOf(round));
  REQUIRE(server.peers.calls.size() == 1);
  CHECK(server.peers.calls[0].address == "10.0.0.9:1");
  CHECK(server.node().MakeHeartbeat().unreachable_size() == 0);
  server.peers.End(absl::UnavailableError("connection refused"));
  server.time.RunFor(absl::Seconds(3));
  const Heartbeat heartbeat = server.node().MakeHeartbeat();
  REQUIRE(heartbeat.unreachable_size() == 1);
  CHECK(heartbeat.unreachable(0).peer().name() == "server-2");
  CHECK(heartbeat.unreachable(0).error() == "connection refused");
  CHECK(heartbeat.unreachable(0).seconds() == Approx(3));
  REQUIRE(server.peers.calls.size() == 1);
  CHECK(server.peers.calls[0].request.round() == 99);  // the newest; no others are needed
  server.peers.End(absl::FailedPreconditionError("another view"));
  server.time.RunFor(absl::Seconds(1));
  CHECK(server.node().MakeHeartbeat().unreachable_size() == 0);
  REQUIRE(server.peers.calls.size() == 1);
  job->AskNorms(ViewId(1), 1, RequestOf(100));
  server.peers.End(Norms());
  server.time.Run();
  REQUIRE(server.peers.calls.size() == 1);
  CHECK(server.peers.calls[0].request.round() == 100);
}

TEST_CASE(
    "A peer that is not complete yet is asked again when it asks itself, or after a while, until it is") {
  TestServer server;
  const std::shared_ptr<ShardHost> job = server.JobWithPeer();
  job->AskNorms(ViewId(1), 1, RequestOf(0));
  server.peers.End(Norms());
  server.time.RunFor(absl::Milliseconds(100));
  CHECK(server.peers.calls.empty());
  SECTION("at once") {
    job->AskNorms(ViewId(1), 1, RequestOf(0));
    REQUIRE(server.peers.calls.size() == 1);
    job->AskNorms(ViewId(1), 1, RequestOf(0));  // while it is being asked
    CHECK(server.peers.calls.size() == 1);
    server.peers.End(Norms());
    server.time.Run();
  }
  SECTION("after a while") { server.time.RunFor(absl::Seconds(1)); }
  REQUIRE(server.peers.calls.size() == 1);
  server.peers.End(AnswerOf(0, 1.5));
  server.time.RunFor(absl::Seconds(10));
  CHECK(server.peers.calls.empty());
}

TEST_CASE("A peer that answers with different norms than before is shown, in each view of that state") {
  TestServer server;
  View view = MakeView(1);
  NodeRef& peer = *view.add_shards()->mutable_primary();
  peer.set_name("server-2");
  peer.set_address("10.0.0.9:1");
  server.Give(view);
  server.time.Run();
  server.job()->AskNorms(ViewId(1), 1, RequestOf(0));
  server.peers.End(AnswerOf(0, 1.5));
  server.time.Run();
  SetKey(Key(2), &view);
  server.Give(view);
  server.time.Run();
  server.job()->AskNorms(ViewId(2), 1, RequestOf(0, 2));
  for (const double norm : {1.25, 1.5}) {
    REQUIRE(server.peers.calls.size() == 1);
    server.peers.End(AnswerOf(0, norm, 2));
    server.time.RunFor(absl::Seconds(3));
    const Heartbeat heartbeat = server.node().MakeHeartbeat();
    REQUIRE(heartbeat.unreachable_size() == 1);
    CHECK(heartbeat.unreachable(0).peer().name() == "server-2");
    CHECK_THAT(heartbeat.unreachable(0).error(),
               Catch::Matchers::Contains("two different values were received"));
  }
}

TEST_CASE(
    "A peer that refuses norms, or answers with wrong ones, is asked less often and shown until it "
    "recovers") {
  TestServer server;
  View view = MakeView(1);
  NodeRef& peer = *view.add_shards()->mutable_primary();
  peer.set_name("server-2");
  peer.set_address("10.0.0.9:1");
  server.Give(view);
  server.time.Run();
  const std::shared_ptr<ShardHost> job = server.job();
  job->AskNorms(ViewId(1), 1, RequestOf(0));
  absl::StatusOr<Norms> answer = AnswerOf(0, 1);
  std::string reason;
  SECTION("it refuses") {
    answer = absl::InvalidArgumentError("norms of shard 0: -1, expected a non-negative number");
    reason = "norms of round 0 refused: norms of shard 0: -1, expected a non-negative number";
  }
  SECTION("of another round") {
    answer->set_round(7);
    reason =
        "norms of round 0 refused: it answers with norms of job 1, training 000000000000004d, view 1, shard "
        "1, round 7; expected job 1, training 000000000000004d, view 1, shard 1, round 0";
  }
  SECTION("of another shard") {
    answer->set_shard(0);
    reason =
        "norms of round 0 refused: it answers with norms of job 1, training 000000000000004d, view 1, shard "
        "0, round 0; expected job 1, training 000000000000004d, view 1, shard 1, round 0";
  }
  SECTION("of another training") {
    answer->set_training_id(78);
    reason =
        "norms of round 0 refused: it answers with norms of job 1, training 000000000000004e, view 1, shard "
        "1, round 0; expected job 1, training 000000000000004d, view 1, shard 1, round 0";
  }
  SECTION("damaged") {
    answer->set_crc32c(1);
    reason = "norms of round 0 refused: norms of shard 1 in round 0: damaged in transit (checksum mismatch)";
  }
  int calls = 0;
  for (int i = 0; i < 6000; ++i) {  // a minute
    if (!server.peers.calls.empty()) {
      server.peers.End(answer);
      ++calls;
    }
    server.time.RunFor(absl::Milliseconds(10));
  }
  CHECK(calls > 25);
  CHECK(calls < 60);
  const Heartbeat heartbeat = server.node().MakeHeartbeat();
  REQUIRE(heartbeat.unreachable_size() == 1);
  CHECK(heartbeat.unreachable(0).peer().name() == "server-2");
  CHECK(heartbeat.unreachable(0).error() == reason);
  CHECK(heartbeat.unreachable(0).seconds() == Approx(60));
  server.time.RunFor(absl::Seconds(2));
  REQUIRE(server.peers.calls.size() == 1);
  server.peers.End(Norms());
  server.time.Run();
  CHECK(server.node().MakeHeartbeat().unreachable_size() == 0);
}

TEST_CASE("An answer that arrives after the job is gone is ignored") {
  TestServer server;
  server.JobWithPeer()->AskNorms(ViewId(1), 1, RequestOf(0));
  REQUIRE(server.peers.calls.size() == 1);
  server.node().OnLeaseLost();
  server.time.Run();
  server.peers.End(absl::UnavailableError("too late"));
  server.time.RunFor(absl::Seconds(3));
  CHECK(server.peers.calls.empty());
}

}  // namespace
}  // namespace shoal::server
