#include "server/worker_streams.h"

#include <functional>
#include <memory>
#include <vector>

#include "catch2/catch.hpp"

namespace shoal::server {
namespace {

class Stream : public WorkerStream {
 public:
  explicit Stream(uint64_t view) : view_{JobId(1), TrainingId(77), ViewId(view)} {}
  ViewKey view() const override { return view_; }
  void Wake(BlockId block) override {
    woken.push_back(block.value());
    on_call();
  }
  void End(const absl::Status& status) override {
    ends.push_back(status);
    on_call();
  }

  std::vector<uint64_t> woken;
  std::vector<absl::Status> ends;
  std::function<void()> on_call = [] {};

 private:
  const ViewKey view_;
};

TEST_CASE("A new version wakes the streams of its view, and no others") {
  WorkerStreams streams;
  const auto old = std::make_shared<Stream>(1), first = std::make_shared<Stream>(2),
             second = std::make_shared<Stream>(2);
  for (const auto& stream : {old, first, second}) REQUIRE(streams.Attach(stream).ok());
  streams.Wake(ViewId(2), BlockId(5));
  streams.Detach(second);
  streams.Wake(ViewId(2), BlockId(6));
  CHECK(old->woken.empty());
  CHECK(first->woken == std::vector<uint64_t>{5, 6});
  CHECK(second->woken == std::vector<uint64_t>{5});
}

TEST_CASE("The streams of all views but one are ended once, in order of arrival, and not woken any more") {
  WorkerStreams streams;
  const auto first = std::make_shared<Stream>(1), kept = std::make_shared<Stream>(2),
             last = std::make_shared<Stream>(1);
  std::vector<const Stream*> order;
  for (const auto& stream : {first, kept, last}) {
    stream->on_call = [&order, stream = stream.get()] { order.push_back(stream); };
    REQUIRE(streams.Attach(stream).ok());
  }
  for (int i = 0; i < 2; ++i) streams.End(ViewId(2), absl::FailedPreconditionError("the view has ended"));
  CHECK(order == std::vector<const Stream*>{first.get(), last.get()});
  REQUIRE(first->ends.size() == 1);
  CHECK(first->ends[0].message() == "the view has ended");
  streams.Wake(ViewId(1), BlockId(0));
  CHECK(first->woken.empty());
  CHECK(kept->ends.empty());
}

TEST_CASE("Streams beyond those of any number of workers are refused, until one is detached") {
  WorkerStreams streams;
  const auto first = std::make_shared<Stream>(1), another = std::make_shared<Stream>(1);
  REQUIRE(streams.Attach(first).ok());
  for (size_t i = 1; i < WorkerStreams::kMaxStreams; ++i)
    REQUIRE(streams.Attach(std::make_shared<Stream>(1)).ok());
  CHECK(absl::IsResourceExhausted(streams.Attach(another)));
  streams.Detach(another);  // it was not attached
  CHECK(absl::IsResourceExhausted(streams.Attach(another)));
  streams.Detach(first);
  CHECK(streams.Attach(another).ok());
}

TEST_CASE("A stream may detach itself, and attach another one, while it is woken or ended") {
  WorkerStreams streams;
  const auto stream = std::make_shared<Stream>(1), next = std::make_shared<Stream>(2);
  stream->on_call = [&] {
    streams.Detach(stream);
    CHECK(streams.Attach(next).ok());
  };
  REQUIRE(streams.Attach(stream).ok());
  SECTION("woken") { streams.Wake(ViewId(1), BlockId(0)); }
  SECTION("ended") { streams.End(ViewId(2), absl::CancelledError("")); }
  streams.Wake(ViewId(2), BlockId(3));
  CHECK(next->woken == std::vector<uint64_t>{3});
  CHECK(stream->woken.size() + stream->ends.size() == 1);
}

}  // namespace
}  // namespace shoal::server
