// The worker's streams over real gRPC on loopback, against a server controlled by the test.
#include "worker/streams.h"

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/synchronization/notification.h"
#include "catch2/catch.hpp"
#include "common/base/status.h"
#include "common/base/timer_queue.h"
#include "common/protocol/block_checksum.h"
#include "common/rpc/rpc.h"
#include "proto/parameter.grpc.pb.h"

namespace shoal::worker {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(30);
constexpr ViewKey kView = {JobId(1), TrainingId(77), ViewId(3)};
const std::vector<uint64_t> kBlockElements = {4, 4};

// Sends block 0, then block 1.
class Server : public ParameterService::Service {
 public:
  Server() {
    ServerOptions options;
    options.address = "127.0.0.1:0";
    options.services = {this};
    auto started = StartServer(options);
    SHOAL_CHECK_OK(started);
    rpc_ = *std::move(started);
    channel = NewChannel(rpc_->address());
  }
  ~Server() override { rpc_->Shutdown(absl::ZeroDuration()); }

  grpc::Status Pull(grpc::ServerContext*, const PullRequest* request,
                    grpc::ServerWriter<PublishedBlock>* writer) override {
    for (uint32_t block = 0; block < kBlockElements.size(); ++block) {
      PublishedBlock message;
      PublishedHeader& header = *message.mutable_header();
      SetKey(KeyOf(*request), &header);
      header.set_block(block);
      const std::vector<uint8_t> bytes(kBlockElements[block] * sizeof(float));
      header.set_crc32c(BlockChecksum(header, Payload::CopyOf(bytes).Crc32c()));
      message.set_payload(bytes.data(), bytes.size());
      writer->Write(message);
    }
    return grpc::Status::OK;
  }

  std::shared_ptr<grpc::Channel> channel;

 private:
  std::unique_ptr<RpcServer> rpc_;
};

// A pull whose blocks are handled by `on_block`.
class Pulling : public StreamEvents {
 public:
  explicit Pulling(Server* server) : context_(WIRE_FORMAT_F32, kBlockElements) {
    context_.events = this;
    StreamPlace place;
    place.view = kView;
    stream = std::make_shared<PullStream>(place, &context_);
    channel_ = server->channel;
  }
  // OnPullDone is not the last that gRPC does with the stream.
  ~Pulling() override {
    stream->Cancel();
    context_.running.WaitForNone();
  }
  void Start() {
    PullRequest request;
    SetKey(kView, &request);
    stream->Start(channel_, request);
  }

  void OnDelivery(const StreamPlace&) override {}
  bool OnBlock(const PublishedHeader& header, const BlockStore&) override { return on_block(header.block()); }
  void OnPullDone(const StreamPlace&, const absl::Status&) override { done.Notify(); }
  void OnPushDone(const StreamPlace&, const absl::Status&) override {}
  void OnVersionsDone(const StreamPlace&, const absl::StatusOr<Version>&) override {}

  std::function<bool(uint32_t)> on_block;
  std::shared_ptr<PullStream> stream;
  absl::Notification done;

 private:
  StreamContext context_;
  std::shared_ptr<grpc::Channel> channel_;
};

// gRPC would drop an exception, and the stream would stall.
TEST_CASE("What gRPC calls can't throw") {
  STATIC_REQUIRE(noexcept(std::declval<PullStream&>().OnReadDone(true)));
  STATIC_REQUIRE(noexcept(std::declval<PullStream&>().OnDone(grpc::Status::OK)));
  STATIC_REQUIRE(noexcept(std::declval<PushStream&>().OnReadDone(true)));
  STATIC_REQUIRE(noexcept(std::declval<PushStream&>().OnWriteDone(true)));
  STATIC_REQUIRE(noexcept(std::declval<PushStream&>().OnDone(grpc::Status::OK)));
}

TEST_CASE("A block told to wait just as the wait ends is offered again without a Resume") {
  Server server;
  Pulling pulling(&server);
  int offers = 0;
  absl::Notification second;
  pulling.on_block = [&](uint32_t block) {
    if (block == 1) second.Notify();
    if (block == 1 || ++offers == 2) return true;
    pulling.stream->Resume();  // as the job does on another thread, before the answer arrives
    return false;
  };
  pulling.Start();
  REQUIRE(second.WaitForNotificationWithTimeout(kPatience));
  REQUIRE(pulling.done.WaitForNotificationWithTimeout(kPatience));
}

TEST_CASE("A pull that is cancelled while its block is offered ends, even if the block has to wait") {
  Server server;
  Pulling pulling(&server);
  pulling.on_block = [&](uint32_t) {
    pulling.stream->Cancel();
    return false;
  };
  pulling.Start();
  REQUIRE(pulling.done.WaitForNotificationWithTimeout(kPatience));
}

}  // namespace
}  // namespace shoal::worker
