// When the streams of workers may begin at a job, and when it ends them.
#include <memory>
#include <vector>

#include "catch2/catch.hpp"
#include "server/shard_host_harness.h"

namespace shoal::server {
namespace {

TEST_CASE(
    "A stream ends when its view or its job is over, and one of another view or training never begins") {
  TestServer server;
  server.Give(MakeView(1));
  server.time.Run();
  ViewKey foreign = Key(1);
  foreign.training = TrainingId(78);
  const auto first = std::make_shared<TestStream>(Key(1)), second = std::make_shared<TestStream>(Key(2));
  const std::shared_ptr<ShardHost> job = server.job();
  REQUIRE(job->Attach(first).ok());
  CHECK(absl::IsFailedPrecondition(job->Attach(second)));
  CHECK(absl::IsFailedPrecondition(job->Attach(std::make_shared<TestStream>(foreign))));
  server.Give(MakeView(2));
  CHECK(first->ends.size() == 1);
  CHECK(absl::IsFailedPrecondition(job->Attach(first)));
  REQUIRE(job->Attach(second).ok());
  server.node().OnLeaseLost();
  REQUIRE(second->ends.size() == 1);
  CHECK(absl::IsFailedPrecondition(second->ends[0]));
  CHECK(absl::IsFailedPrecondition(job->Attach(second)));
}

TEST_CASE("Streams beyond those of any number of workers are refused, until one has ended") {
  TestServer server;
  server.Give(MakeView(1));
  server.time.Run();
  std::vector<std::shared_ptr<TestStream>> streams;
  for (size_t i = 0; i < WorkerStreams::kMaxStreams; ++i) {
    streams.push_back(std::make_shared<TestStream>(Key(1)));
    REQUIRE(server.job()->Attach(streams.back()).ok());
  }
  const auto another = std::make_shared<TestStream>(Key(1));
  CHECK(absl::IsResourceExhausted(server.job()->Attach(another)));
  server.job()->Detach(streams[7]);
  CHECK(server.job()->Attach(another).ok());
}

}  // namespace
}  // namespace shoal::server
