#include "tools/bench/raw_streams.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/synchronization/notification.h"
#include "common/base/status.h"
#include "common/rpc/rpc.h"
#include "grpcpp/generic/async_generic_service.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/grpcpp.h"
#include "tools/bench/timing.h"

namespace shoal::bench {
namespace {

// What one end sends. Every byte has its own memory, like parameters, so messages do not stay in a cache.
struct Source {
  std::vector<char> bytes;
  uint64_t message_bytes;

  uint64_t messages() const { return bytes.size() / message_bytes; }
};

grpc::ByteBuffer Message(const std::shared_ptr<const Source>& source, uint64_t index) {
  using Owner = std::shared_ptr<const Source>;
  char* const begin = const_cast<char*>(source->bytes.data()) + index * source->message_bytes;
  const grpc::Slice slice(
      begin, source->message_bytes, [](void* owner) { delete static_cast<Owner*>(owner); },
      new Owner(source));
  return grpc::ByteBuffer(&slice, 1);
}

// ---- gRPC: "/take" reads everything, "/give" writes `messages` ----

class ServerEnd : public grpc::ServerGenericBidiReactor {
 public:
  ServerEnd(bool gives, std::shared_ptr<const Source> source) : gives_(gives), source_(std::move(source)) {
    if (gives_) {
      WriteNext();
    } else {
      StartRead(&incoming_);
    }
  }
  void OnReadDone(bool ok) override {
    if (!ok) return Finish(grpc::Status::OK);
    incoming_.Clear();
    StartRead(&incoming_);
  }
  void OnWriteDone(bool ok) override { ok ? WriteNext() : Finish(grpc::Status::CANCELLED); }
  void OnDone() override { delete this; }

 private:
  void WriteNext() {
    if (next_ == source_->messages()) return Finish(grpc::Status::OK);
    outgoing_ = Message(source_, next_++);
    StartWrite(&outgoing_);
  }

  const bool gives_;
  const std::shared_ptr<const Source> source_;
  uint64_t next_ = 0;
  grpc::ByteBuffer incoming_, outgoing_;
};

class RawService : public grpc::CallbackGenericService {
 public:
  explicit RawService(std::shared_ptr<const Source> source) : source_(std::move(source)) {}
  grpc::ServerGenericBidiReactor* CreateReactor(grpc::GenericCallbackServerContext* context) override {
    return new ServerEnd(context->method() == "/give", source_);
  }

 private:
  const std::shared_ptr<const Source> source_;
};

class ClientEnd : public grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  ClientEnd(const std::shared_ptr<grpc::Channel>& channel, bool takes, std::shared_ptr<const Source> source)
      : stub_(channel), takes_(takes), source_(std::move(source)) {
    stub_.PrepareBidiStreamingCall(&context_, takes ? "/give" : "/take", {}, this);
    if (takes_) {
      StartRead(&incoming_);
    } else {
      WriteNext();
    }
    StartCall();
  }
  void OnReadDone(bool ok) override {
    if (ok) StartRead(&incoming_);
  }
  void OnWriteDone(bool ok) override {
    if (ok) WriteNext();
  }
  void OnDone(const grpc::Status&) override { done_.Notify(); }
  void Wait() { done_.WaitForNotification(); }

 private:
  void WriteNext() {
    if (next_ == source_->messages()) return StartWritesDone();
    outgoing_ = Message(source_, next_++);
    StartWrite(&outgoing_);
  }

  grpc::GenericStub stub_;
  grpc::ClientContext context_;
  const bool takes_;
  const std::shared_ptr<const Source> source_;
  uint64_t next_ = 0;
  grpc::ByteBuffer incoming_, outgoing_;
  absl::Notification done_;
};

// ---- TCP ----

bool MoveAll(uint64_t bytes, uint64_t message_bytes, const std::function<ssize_t(char*, size_t)>& move) {
  std::vector<char> buffer(message_bytes);
  while (bytes > 0) {
    const ssize_t moved = move(buffer.data(), std::min<uint64_t>(bytes, message_bytes));
    if (moved <= 0) return false;
    bytes -= moved;
  }
  return true;
}

// Two connected ends over loopback.
absl::StatusOr<std::pair<int, int>> Connect() {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  auto* const raw = reinterpret_cast<sockaddr*>(&address);
  const int client = socket(AF_INET, SOCK_STREAM, 0);
  const bool ok = listener >= 0 && client >= 0 && bind(listener, raw, size) == 0 &&
                  listen(listener, 1) == 0 && getsockname(listener, raw, &size) == 0 &&
                  connect(client, raw, size) == 0;
  const int server = ok ? accept(listener, nullptr, nullptr) : -1;
  const int error = errno;
  close(listener);
  if (server >= 0) return std::make_pair(client, server);
  close(client);
  return absl::ErrnoToStatus(error, "TCP over loopback");
}

}  // namespace

absl::StatusOr<double> GrpcSeconds(const RawTransfer& transfer, int connections) {
  const auto make_source = [&] {
    return std::make_shared<const Source>(
        Source{std::vector<char>(transfer.bytes, 'x'), transfer.message_bytes});
  };
  const auto of_client = make_source();
  RawService service(make_source());
  ServerOptions options;
  options.address = "127.0.0.1:0";
  options.configure = [&](grpc::ServerBuilder& builder) { builder.RegisterCallbackGenericService(&service); };
  SHOAL_ASSIGN_OR_RETURN(const std::unique_ptr<RpcServer> server, StartServer(options));
  ChannelOptions second;
  second.connection_index = connections - 1;
  const auto down = NewChannel(server->address()), up = NewChannel(server->address(), second);
  return BestSeconds(transfer.repeats, [&] {
    ClientEnd give(up, false, of_client), take(down, true, of_client);
    give.Wait();
    take.Wait();
  });
}

absl::StatusOr<double> TcpSeconds(const RawTransfer& transfer) {
  SHOAL_ASSIGN_OR_RETURN(const auto ends, Connect());
  const auto [client, server] = ends;
  const double seconds = BestSeconds(transfer.repeats, [&, client = client, server = server] {
    std::vector<std::thread> threads;
    for (int end : {client, server}) {
      threads.emplace_back([&, end] {
        MoveAll(transfer.bytes, transfer.message_bytes,
                [&](char* data, size_t size) { return write(end, data, size); });
      });
      threads.emplace_back([&, end] {
        MoveAll(transfer.bytes, transfer.message_bytes,
                [&](char* data, size_t size) { return read(end, data, size); });
      });
    }
    for (std::thread& thread : threads) thread.join();
  });
  close(client);
  close(server);
  return seconds;
}

}  // namespace shoal::bench
