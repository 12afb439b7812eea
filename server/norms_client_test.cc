#include "server/norms_client.h"

#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "catch2/catch.hpp"
#include "common/base/fake_executor.h"
#include "common/protocol/view_key.h"
#include "server/test_view.h"

namespace shoal::server {
namespace {

// Of three shards, at addresses "0", "1" and "2".
View MakeView(uint64_t number) {
  View view;
  SetKey(Key(number), &view);
  for (int i = 0; i < 3; ++i) view.add_shards()->mutable_primary()->set_address(std::to_string(i));
  return view;
}

NormsRequest RequestOf(uint64_t round, uint64_t view = 1) {
  NormsRequest request;
  SetKey(Key(view), &request);
  request.set_round(round);
  return request;
}

// Complete norms of shard 1.
Norms AnswerOf(uint64_t round, uint64_t view = 1) {
  Norms norms;
  SetKey(Key(view), &norms);
  norms.set_shard(1);
  norms.set_round(round);
  norms.add_squared_norms(1.5);
  return norms;
}

// A client of shard 0, and peers that answer when the test says so.
class Shard : public PeerLink {
 public:
  struct Call {
    std::string address;
    NormsRequest request;
    NormsDone done;
  };

  Shard() { client->Begin(MakeView(1)); }
  ~Shard() override { timers->Stop(); }
  void GetNorms(const std::string& address, const NormsRequest& request, absl::Duration,
                NormsDone done) override {
    calls.push_back({address, request, std::move(done)});
  }
  // The oldest call ends.
  void Answer(absl::StatusOr<Norms> answer) {
    const Call call = std::move(calls.front());
    calls.pop_front();
    call.done(std::move(answer));
    time.Run();
  }
  std::vector<std::string> Unreachable() const {
    Heartbeat heartbeat;
    client->AddUnreachable(&heartbeat);
    std::vector<std::string> peers;
    for (const UnreachablePeer& peer : heartbeat.unreachable())
      peers.push_back(peer.peer().address() + ": " + peer.error());
    return peers;
  }

  FakeTime time;
  std::deque<Call> calls;
  std::vector<uint64_t> taken;  // the rounds of the answers
  absl::Status on_take;
  const std::unique_ptr<Executor> timers = time.factory()("timers");
  std::unique_ptr<NormsClient> client = std::make_unique<NormsClient>(
      NormsClient::Options{JobId(1), this, timers.get(), [this](const Norms& n) {
                             taken.push_back(n.round());
                             return on_take;
                           }});
};

TEST_CASE("Each peer has one call at a time; of the requests meanwhile only the newest follows") {
  Shard shard;
  for (const uint64_t round : {3, 4, 6, 5}) {
    shard.client->Ask(ViewId(1), 1, RequestOf(round));
    shard.client->Ask(ViewId(1), 2, RequestOf(round));
  }
  REQUIRE(shard.calls.size() == 2);
  CHECK(shard.calls[0].address == "1");
  CHECK(shard.calls[1].address == "2");
  shard.Answer(AnswerOf(3));
  CHECK(shard.taken == std::vector<uint64_t>{3});
  REQUIRE(shard.calls.size() == 2);
  CHECK(shard.calls[1].address == "1");
  CHECK(shard.calls[1].request.round() == 6);
}

TEST_CASE("A peer that has answered is not asked again, one that was not complete is after a second") {
  Shard shard;
  shard.client->Ask(ViewId(1), 1, RequestOf(0));
  shard.Answer(Norms());
  CHECK(shard.taken.empty());
  shard.time.RunFor(absl::Milliseconds(999));
  CHECK(shard.calls.empty());
  shard.time.RunFor(absl::Milliseconds(1));
  REQUIRE(shard.calls.size() == 1);
  shard.Answer(AnswerOf(0));
  shard.time.RunFor(absl::Minutes(1));
  CHECK(shard.calls.empty());
  CHECK(shard.taken == std::vector<uint64_t>{0});
}

TEST_CASE("Peers that don't answer, or whose norms are refused, are listed until they answer correctly") {
  Shard shard;
  shard.client->Ask(ViewId(1), 1, RequestOf(0));
  shard.client->Ask(ViewId(1), 2, RequestOf(0));
  shard.on_take = absl::DataLossError("damaged");
  shard.Answer(AnswerOf(0));
  shard.Answer(absl::UnavailableError("connection refused"));
  CHECK(shard.Unreachable() ==
        std::vector<std::string>{"1: norms of round 0 refused: damaged", "2: connection refused"});
  shard.client->Ask(ViewId(1), 1, RequestOf(0));
  CHECK(shard.calls.empty());  // not at once
  shard.on_take = absl::OkStatus();
  shard.time.RunFor(absl::Milliseconds(50));
  REQUIRE(shard.calls.size() == 2);
  shard.Answer(absl::FailedPreconditionError("another view"));  // it answers
  shard.Answer(absl::FailedPreconditionError("another view"));
  CHECK(shard.Unreachable().empty());
}

TEST_CASE("A new view starts over, whatever was asked of the previous view's peers or became of them") {
  Shard shard;
  shard.client->Ask(ViewId(1), 1, RequestOf(7));
  shard.client->Ask(ViewId(1), 2, RequestOf(7));
  shard.Answer(absl::UnavailableError("connection refused"));
  shard.client->Begin(MakeView(2));
  CHECK(shard.Unreachable().empty());
  shard.Answer(absl::UnavailableError("connection refused"));
  CHECK(shard.Unreachable().empty());
  shard.time.RunFor(absl::Minutes(1));
  shard.client->Ask(ViewId(1), 1, RequestOf(8));
  shard.client->Ask(ViewId(2), 3, RequestOf(8, 2));  // there is no such shard
  CHECK(shard.calls.empty());
  shard.client->Ask(ViewId(2), 1, RequestOf(6, 2));
  CHECK(shard.calls.size() == 1);
}

TEST_CASE("Once it is closed no peer is asked, and answers after its destruction are ignored") {
  Shard shard;
  shard.client->Ask(ViewId(1), 1, RequestOf(0));
  SECTION("closed") {
    shard.client->Close();
    shard.Answer(Norms());
  }
  SECTION("gone") {
    shard.timers->Stop();
    shard.client.reset();
    shard.Answer(AnswerOf(0));
  }
  shard.time.RunFor(absl::Minutes(1));
  CHECK(shard.calls.empty());
  CHECK(shard.taken.empty());
}

TEST_CASE("A peer that answers inside the call that asks it still gets the next request") {
  class Prompt : public PeerLink {
   public:
    void GetNorms(const std::string&, const NormsRequest& request, absl::Duration, NormsDone done) override {
      done(AnswerOf(request.round()));
    }
  };
  FakeTime time;
  Prompt peers;
  std::vector<uint64_t> taken;
  const auto timers = time.factory()("timers");
  NormsClient client({JobId(1), &peers, timers.get(), [&](const Norms& norms) {
                        taken.push_back(norms.round());
                        if (norms.round() == 0) client.Ask(ViewId(1), 1, RequestOf(1));
                        return absl::OkStatus();
                      }});
  client.Begin(MakeView(1));
  client.Ask(ViewId(1), 1, RequestOf(0));
  time.Run();
  CHECK(taken == std::vector<uint64_t>{0, 1});
  timers->Stop();
}

}  // namespace
}  // namespace shoal::server
