#include "worker/retrying_link.h"

#include <memory>
#include <utility>
#include <vector>

#include "catch2/catch.hpp"
#include "common/base/fake_executor.h"

namespace shoal::worker {
namespace {

const absl::Status kRefused = absl::UnavailableError(
    "failed to connect to all addresses; last error: UNKNOWN: ipv4:10.0.0.1:7071: Failed to connect to "
    "remote "
    "host: Connection refused");

// Streams that do nothing on their own.
class FakeStreams : public ParameterStreams {
 public:
  struct Pulled : PullStreamHandle {
    void Cancel() override { cancelled = true; }
    void Resume() override { ++resumes; }
    StreamPlace place;
    Version from;
    bool cancelled = false;
    int resumes = 0;
  };
  struct Pushed : PushStreamHandle {
    void Cancel() override { cancelled = true; }
    void Push(BlockContribution contribution) override { blocks.push_back(contribution.header.block()); }
    StreamPlace place;
    bool cancelled = false;
    std::vector<uint32_t> blocks;
  };

  std::shared_ptr<PullStreamHandle> Pull(const StreamPlace& place, Version from) override {
    pulls.push_back(std::make_shared<Pulled>());
    pulls.back()->place = place;
    pulls.back()->from = from;
    return pulls.back();
  }
  std::shared_ptr<PushStreamHandle> Push(const StreamPlace& place) override {
    pushes.push_back(std::make_shared<Pushed>());
    pushes.back()->place = place;
    return pushes.back();
  }
  void AskVersions(const StreamPlace& place) override { asked.push_back(place); }

  std::vector<std::shared_ptr<Pulled>> pulls;
  std::vector<std::shared_ptr<Pushed>> pushes;
  std::vector<StreamPlace> asked;
};

struct Link : ParameterLinkEvents {
  void OnVersions(ViewId, uint32_t shard, Version lowest) override { versions.push_back({shard, lowest}); }
  bool OnBlock(const PublishedHeader&, const BlockStore&) override { return true; }
  void OnOutOfRange(ViewId) override { ++out_of_range; }
  Version PullFrom() override { return Version(7); }
  void OnPushReopened(ViewId, uint32_t shard) override { reopened.push_back(shard); }

  Link() { link.SetView(MakeView(1)); }

  static View MakeView(uint64_t number) {
    View view;
    SetKey({JobId(1), TrainingId(77), ViewId(number)}, &view);
    for (int i = 0; i < 2; ++i) {
      NodeRef& server = *view.add_shards()->mutable_primary();
      server.set_node_id(10 + i);
      server.set_name(i == 0 ? "server-1" : "server-2");
      server.set_address(i == 0 ? "10.0.0.1:7071" : "10.0.0.2:7071");
    }
    return view;
  }
  std::vector<UnreachablePeer> Unreachable() const {
    Heartbeat heartbeat;
    link.AddTo(&heartbeat);
    return {heartbeat.unreachable().begin(), heartbeat.unreachable().end()};
  }

  FakeTime time;
  std::vector<std::pair<uint32_t, Version>> versions;
  std::vector<uint32_t> reopened;
  int out_of_range = 0;
  FakeStreams* streams = nullptr;
  StreamEvents* events = nullptr;
  RetryingLink link{{1, time.factory()}, this, [this](StreamEvents* stream_events) {
                      auto made = std::make_unique<FakeStreams>();
                      streams = made.get();
                      events = stream_events;
                      return made;
                    }};
};

}  // namespace

TEST_CASE(
    "Broken streams are reopened: the pull at the job's version, the push with a request for what is held") {
  Link link;
  link.link.Open(Version(3));
  REQUIRE(link.streams->pulls.size() == 2);
  CHECK(link.streams->pulls[0]->from == Version(3));
  CHECK(link.streams->pulls[0]->place.view == KeyOf(Link::MakeView(1)));
  link.events->OnPullDone(link.streams->pulls[0]->place, absl::UnavailableError("broken"));
  link.events->OnPushDone(link.streams->pushes[1]->place, absl::UnavailableError("broken"));
  CHECK(link.streams->pulls.size() == 2);  // not at once
  link.time.RunFor(absl::Seconds(3));
  REQUIRE(link.streams->pulls.size() == 3);
  CHECK(link.streams->pulls[2]->from == Version(7));
  CHECK(link.streams->pulls[2]->place.shard == 0);
  CHECK(link.streams->pushes.size() == 3);
  CHECK(link.reopened == std::vector<uint32_t>{1});
}

TEST_CASE("Events of streams of an older view or Open have no effect") {
  Link link;
  link.link.Open(Version(3));
  const auto pull = link.streams->pulls[0];
  const auto push = link.streams->pushes[0];
  link.link.SetView(Link::MakeView(2));
  CHECK(pull->cancelled);
  CHECK(push->cancelled);
  link.events->OnPullDone(pull->place, kRefused);
  link.events->OnPushDone(push->place, kRefused);
  link.events->OnVersionsDone(pull->place, Version(4));
  link.time.RunFor(absl::Seconds(10));
  CHECK(link.streams->pulls.size() == 2);
  CHECK(link.streams->pushes.size() == 2);
  CHECK(link.versions.empty());
  CHECK(link.Unreachable().empty());
}

TEST_CASE("A version that is gone is reported, and the pull is not reopened") {
  Link link;
  link.link.Open(Version(3));
  link.events->OnPullDone(link.streams->pulls[0]->place, absl::OutOfRangeError("gone"));
  link.time.RunFor(absl::Seconds(10));
  CHECK(link.out_of_range == 1);
  CHECK(link.streams->pulls.size() == 2);
}

TEST_CASE("A server whose versions are gone each time is asked for its versions less and less often") {
  Link link;
  link.link.Open(Version(3));
  size_t ended = 0;
  for (int i = 0; i < 600; ++i) {  // a minute
    const int before = link.out_of_range;
    for (; ended < link.streams->pulls.size(); ++ended) {
      const StreamPlace place = link.streams->pulls[ended]->place;
      if (place.shard == 0) link.events->OnPullDone(place, absl::OutOfRangeError("gone"));
    }
    link.time.RunFor(absl::Milliseconds(100));
    if (link.out_of_range > before) link.link.Open(Version(3));  // after its questions
  }
  CHECK(link.out_of_range > 20);
  CHECK(link.out_of_range < 80);
}

TEST_CASE("Parameters that come again, as a server refuses what follows, are not progress") {
  Link link;
  const auto idle = [&] {
    Heartbeat heartbeat;
    link.link.AddTo(&heartbeat);
    REQUIRE(heartbeat.activities_size() == 1);
    return heartbeat.activities(0).idle_seconds();
  };
  link.link.Open(Version(3));
  for (int i = 0; i < 5; ++i) {
    link.events->OnDelivery(link.streams->pulls.back()->place);
    CHECK(idle() == Approx(i));
    link.events->OnPullDone(link.streams->pulls.back()->place, absl::OutOfRangeError("gone"));
    link.time.RunFor(absl::Seconds(1));
    link.link.Open(Version(3));
  }
  link.link.Open(Version(4));
  link.events->OnDelivery(link.streams->pulls.back()->place);
  CHECK(idle() == 0);
}

TEST_CASE("Versions are asked for until each server has answered") {
  Link link;
  link.link.AskVersions();
  REQUIRE(link.streams->asked.size() == 2);
  link.events->OnVersionsDone(link.streams->asked[0], Version(4));
  link.events->OnVersionsDone(link.streams->asked[1], absl::FailedPreconditionError("not this view yet"));
  link.time.RunFor(absl::Seconds(3));
  REQUIRE(link.streams->asked.size() == 3);
  link.events->OnVersionsDone(link.streams->asked[2], Version(5));
  link.time.RunFor(absl::Seconds(10));
  CHECK(link.streams->asked.size() == 3);
  CHECK(link.versions == std::vector<std::pair<uint32_t, Version>>{{0, Version(4)}, {1, Version(5)}});
  CHECK(link.Unreachable().empty());  // a refusal is an answer
}

TEST_CASE("A server that does not answer is named, with the reason and since when, until it answers") {
  Link link;
  link.link.Open(Version(3));
  link.time.RunFor(absl::Seconds(30));  // nothing moves on the open streams: not a failure
  CHECK(link.Unreachable().empty());
  link.events->OnPullDone(link.streams->pulls[0]->place, kRefused);
  link.time.RunFor(absl::Seconds(2));
  auto unreachable = link.Unreachable();
  REQUIRE(unreachable.size() == 1);
  CHECK(unreachable[0].peer().name() == "server-1");
  CHECK(unreachable[0].seconds() == 2);
  CHECK(unreachable[0].error() == "pull: connection refused");

  // The reopened pull has delivered no block, so the server is asked.
  REQUIRE(link.streams->asked.size() == 1);
  link.events->OnVersionsDone(link.streams->asked[0], absl::DeadlineExceededError("Deadline Exceeded"));
  unreachable = link.Unreachable();
  REQUIRE(unreachable.size() == 1);
  CHECK(unreachable[0].seconds() == 2);  // since the first failure
  CHECK(unreachable[0].error() == "pull: no answer for 2 s");
  link.time.RunFor(absl::Seconds(3));
  REQUIRE(link.streams->asked.size() == 2);

  SECTION("to the question") {
    link.events->OnVersionsDone(link.streams->asked[1], Version(3));
    CHECK(link.Unreachable().empty());
    CHECK(link.versions.empty());  // the job has not asked
    link.time.RunFor(absl::Seconds(10));
    CHECK(link.streams->asked.size() == 2);
  }
  SECTION("with a block") {
    link.events->OnDelivery(link.streams->pulls.back()->place);
    CHECK(link.Unreachable().empty());
  }
  SECTION("or leaves the view") {
    View view = Link::MakeView(2);
    view.mutable_shards()->DeleteSubrange(0, 1);
    link.link.SetView(view);
    CHECK(link.Unreachable().empty());
  }
  SECTION("but not by a new view alone") {
    link.link.SetView(Link::MakeView(2));
    CHECK(link.Unreachable().size() == 1);
  }
}

// Ends the newest push, and answers each question, every 100 ms. Returns in how many heartbeats the server
// was reported, and how many there were.
std::pair<int, int> BreakPushes(Link* link, absl::Duration time, const absl::Status& status) {
  std::shared_ptr<FakeStreams::Pushed> broken;
  size_t answered = 0;
  int beats = 0, shown = 0;
  for (; time > absl::ZeroDuration(); time -= absl::Milliseconds(100)) {
    const auto newest = link->streams->pushes.back();
    if (newest->place.shard == 0 && newest != broken) link->events->OnPushDone(newest->place, status);
    broken = newest;
    link->time.RunFor(absl::Milliseconds(100));
    for (; answered < link->streams->asked.size(); ++answered)
      link->events->OnVersionsDone(link->streams->asked[answered], Version(3));
    ++beats;
    shown += static_cast<int>(link->Unreachable().size());
  }
  return {shown, beats};
}

TEST_CASE("A push that breaks repeatedly is shown although the server answers questions") {
  const std::vector<absl::Status> statuses = {kRefused, absl::DataLossError("a contribution was refused"),
                                              absl::InvalidArgumentError("a contribution was refused")};
  const absl::Status status = statuses[GENERATE(0u, 1u, 2u)];
  Link link;
  link.link.Open(Version(3));
  link.events->OnPushDone(link.streams->pushes[0]->place, status);
  const auto [shown, beats] = BreakPushes(&link, absl::Seconds(30), status);
  CHECK(shown == beats);
  auto unreachable = link.Unreachable();
  REQUIRE(unreachable.size() == 1);
  CHECK(unreachable[0].peer().name() == "server-1");
  CHECK(unreachable[0].seconds() == Approx(30));
  CHECK_THAT(unreachable[0].error(), Catch::Matchers::StartsWith("push: "));
  CHECK(link.reopened.size() < 40);  // less and less often
  link.time.RunFor(absl::Seconds(3));
  link.events->OnVersionsDone(link.streams->asked.back(), Version(3));
  CHECK(link.Unreachable().empty());  // it is open
  link.events->OnPushDone(link.streams->pushes.back()->place, status);
  unreachable = link.Unreachable();
  REQUIRE(unreachable.size() == 1);
  CHECK(unreachable[0].seconds() == Approx(33));
}

TEST_CASE("A push that broke once is healthy again once it is open, and the failure is soon forgotten") {
  Link link;
  link.link.Open(Version(3));
  link.events->OnPushDone(link.streams->pushes[0]->place, kRefused);
  link.events->OnVersionsDone(link.streams->asked.back(), Version(3));
  CHECK(link.Unreachable().size() == 1);
  link.time.RunFor(absl::Milliseconds(1500));
  CHECK(link.Unreachable().empty());
  SECTION("by time") { link.time.RunFor(PeerHealth::kForgotten); }
  SECTION("by arriving blocks") { link.events->OnDelivery(link.streams->pulls[0]->place); }
  link.events->OnPushDone(link.streams->pushes.back()->place, kRefused);
  REQUIRE(link.Unreachable().size() == 1);
  CHECK(link.Unreachable()[0].seconds() == 0);
}

TEST_CASE("A server whose blocks repeatedly arrive damaged is shown, until an intact block arrives") {
  Link link;
  link.link.Open(Version(3));
  for (int i = 0; i < 10; ++i) {
    link.events->OnPullDone(link.streams->pulls[i == 0 ? 0 : link.streams->pulls.size() - 1]->place,
                            absl::DataLossError("block 0: damaged in transit (checksum)"));
    link.events->OnVersionsDone(link.streams->asked.back(), Version(3));
    link.time.RunFor(absl::Seconds(3));
  }
  link.events->OnPullDone(link.streams->pulls.back()->place,
                          absl::DataLossError("block 0: damaged in transit (checksum)"));
  const auto unreachable = link.Unreachable();
  REQUIRE(unreachable.size() == 1);
  CHECK(unreachable[0].error() == "pull: block 0: damaged in transit (checksum)");
  CHECK(unreachable[0].seconds() == 30);
  link.time.RunFor(absl::Seconds(3));
  link.events->OnDelivery(link.streams->pulls.back()->place);
  CHECK(link.Unreachable().empty());
}

TEST_CASE("Arriving blocks are an activity of the job, since the last one, until the next view") {
  Link link;
  link.link.Open(Version(3));
  const auto transfers = [&] {
    Heartbeat heartbeat;
    link.link.AddTo(&heartbeat);
    return std::vector<Activity>(heartbeat.activities().begin(), heartbeat.activities().end());
  };
  CHECK(transfers().empty());
  link.events->OnDelivery(link.streams->pulls[0]->place);
  link.time.RunFor(absl::Seconds(7));
  REQUIRE(transfers().size() == 1);
  CHECK(transfers()[0].kind() == ACTIVITY_TRANSFER);
  CHECK(transfers()[0].job() == Link::MakeView(1).job());
  CHECK(transfers()[0].idle_seconds() == 7);
  link.link.SetView(Link::MakeView(2));
  CHECK(transfers().empty());
}

TEST_CASE("A server that is gone is shown with one error for both directions") {
  Link link;
  link.link.Open(Version(3));
  link.events->OnPullDone(link.streams->pulls[0]->place, kRefused);
  link.events->OnPushDone(link.streams->pushes[0]->place, kRefused);
  REQUIRE(link.Unreachable().size() == 1);
  CHECK(link.Unreachable()[0].error() == "connection refused");
}

TEST_CASE("Contributions go to the shard of their block; one whose push is broken gets them later") {
  Link link;
  link.link.Open(Version(3));
  for (uint32_t block : {0, 1, 2}) {
    BlockContribution contribution;
    contribution.header.set_block(block);
    link.link.Push(std::move(contribution));
  }
  CHECK(link.streams->pushes[0]->blocks == std::vector<uint32_t>{0, 2});
  CHECK(link.streams->pushes[1]->blocks == std::vector<uint32_t>{1});
}

TEST_CASE("Many resumes at once become one, outside the caller's call") {
  Link link;
  link.link.Open(Version(3));
  link.link.Resume();
  link.link.Resume();
  CHECK(link.streams->pulls[0]->resumes == 0);
  link.time.Run();
  CHECK(link.streams->pulls[0]->resumes == 1);
}

}  // namespace shoal::worker
