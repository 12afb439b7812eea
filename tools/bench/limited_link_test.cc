#include "tools/bench/limited_link.h"

#include <utility>

#include "catch2/catch.hpp"
#include "common/base/fake_executor.h"

namespace shoal::bench {
namespace {

constexpr uint64_t kElements = 1 << 18;  // a block of 1 MiB, as large as a burst

// Records what crosses the card: as the link behind it, and as the worker in front.
class Ends : public worker::ParameterLinkEvents {
 public:
  class Link : public worker::ParameterLink {
   public:
    explicit Link(Ends* ends) : ends_(ends) {}
    void SetView(const View&) override {}
    void AskVersions() override {}
    void Open(Version) override {}
    void Push(worker::BlockContribution contribution) override {
      ends_->pushed.push_back(contribution.header.block());
    }
    void Resume() override { ends_->Offer(); }
    void Disconnect() override {}

   private:
    Ends* const ends_;
  };

  Ends() {
    link = NewLimitedLink(
        {8.0 * (1 << 20), WIRE_FORMAT_F32, {kElements, kElements, kElements}, time.factory()},
        [this](worker::ParameterLinkEvents* limited) {
          to_worker = limited;
          return std::make_unique<Link>(this);
        },
        this);
  }
  void Push(uint64_t block) {
    worker::BlockContribution contribution;
    contribution.header.set_block(block);
    contribution.size = kElements;
    link->Push(std::move(contribution));
  }
  // The next block of version 1 arrives at the card, or is offered again.
  void Offer() {
    PublishedHeader header;
    header.set_version(1);
    header.set_block(accepted);
    to_worker->OnBlock(header, [](const worker::BlockMemory&) {});
  }

  // ---- ParameterLinkEvents ----
  void OnVersions(ViewId, uint32_t, Version) override {}
  bool OnBlock(const PublishedHeader&, const worker::BlockStore&) override {
    accepted += ready ? 1 : 0;
    return ready;
  }
  void OnOutOfRange(ViewId) override {}
  Version PullFrom() override { return Version(0); }
  void OnPushReopened(ViewId, uint32_t) override {}

  FakeTime time;
  std::vector<uint64_t> pushed;
  uint64_t accepted = 0;
  bool ready = true;
  worker::ParameterLinkEvents* to_worker = nullptr;
  std::unique_ptr<worker::ParameterLink> link;
};

TEST_CASE("Blocks to push cross the card one after the other, the most urgent first") {
  Ends ends;
  for (const uint64_t block : {2, 1, 0}) ends.Push(block);
  CHECK(ends.pushed == std::vector<uint64_t>{2});  // the burst
  ends.time.RunFor(absl::Milliseconds(999));
  CHECK(ends.pushed.size() == 1);
  ends.time.RunFor(absl::Milliseconds(2));
  CHECK(ends.pushed == std::vector<uint64_t>{2, 1});
  ends.time.RunFor(absl::Seconds(1));
  CHECK(ends.pushed == std::vector<uint64_t>{2, 1, 0});
}

TEST_CASE("A published block is refused until it has crossed the card, and crosses once") {
  Ends ends;
  ends.Offer();
  CHECK(ends.accepted == 1);  // the burst
  ends.ready = false;
  ends.Offer();
  ends.Offer();
  ends.time.RunFor(absl::Milliseconds(1001));
  CHECK(ends.accepted == 1);  // it has crossed, but its buffer is in use
  ends.ready = true;
  ends.link->Resume();
  CHECK(ends.accepted == 2);
}

TEST_CASE("What waits for a shard whose stream was opened again is not sent twice") {
  Ends ends;
  View view;
  view.add_shards();
  view.add_shards();
  ends.link->SetView(view);
  for (const uint64_t block : {0, 1, 2}) ends.Push(block);  // 0 crosses at once, 1 is on its way
  ends.to_worker->OnPushReopened(ViewId(1), 0);
  ends.time.RunFor(absl::Seconds(10));
  CHECK(ends.pushed == std::vector<uint64_t>{0, 1});
}

TEST_CASE("Contributions of a view that is over are not sent") {
  Ends ends;
  for (const uint64_t block : {0, 1, 2}) ends.Push(block);
  ends.link->SetView(View());
  ends.time.RunFor(absl::Seconds(10));
  CHECK(ends.pushed == std::vector<uint64_t>{0});
  ends.Push(2);
  ends.time.RunFor(absl::Seconds(10));
  CHECK(ends.pushed == std::vector<uint64_t>{0, 2});
}

}  // namespace
}  // namespace shoal::bench
