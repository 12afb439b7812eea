// Shoal's use of gRPC: statuses, channels, servers, deadlines.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "grpcpp/grpcpp.h"

namespace shoal {

// Many times the size of a block (1 MiB) with its header.
inline constexpr int kMaxMessageBytes = 16 << 20;

// Codes have the same numbers in both; the message is kept (cut by ToMessage of common/base/utf8.h), payloads
// are not. Outgoing errors say in their details (a google.rpc.Status) that they are Shoal's own.
grpc::Status ToGrpcStatus(const absl::Status& status);
absl::Status FromGrpcStatus(const grpc::Status& status);

// Whether the response to a call came from a program other than a Shoal daemon: a server that lacks the call,
// or that speaks HTTP but not gRPC.
bool IsForeign(const grpc::Status& status);

// The deadline is `timeout` from now. Every RPC gets one.
void SetDeadline(grpc::ClientContext* context, absl::Duration timeout);

// gRPC's own messages go to the log instead of stderr, its errors as warnings: nothing else tells of those
// that belong to no call, such as a port that accepts no more connections. Only those of a server that can't
// be started are for debugging: StartServer's status says what failed. Once per process.
void SendGrpcLogsToSpdlog();

struct ChannelOptions {
  // Channels to one address with the same index share a TCP connection; another index has its own.
  int connection_index = 0;
  int max_message_bytes = kMaxMessageBytes;
  // A silent connection is probed after `keepalive_after` and closed when nothing arrives for
  // `keepalive_timeout`.
  absl::Duration keepalive_after = absl::Seconds(10);
  absl::Duration keepalive_timeout = absl::Seconds(5);
  // For one attempt to connect: a busy machine needs a while for the handshake.
  absl::Duration connect_timeout = absl::Seconds(3);
  // Pause between attempts to connect: `reconnect_first`, then doubled up to `reconnect_max`.
  absl::Duration reconnect_first = absl::Milliseconds(50);
  absl::Duration reconnect_max = absl::Seconds(1);
};

// A channel to "host:port". Connects lazily and reconnects without limit; never fails by itself. Ignores HTTP
// proxies set in the environment.
std::shared_ptr<grpc::Channel> NewChannel(const std::string& address, const ChannelOptions& options = {});

struct ServerOptions {
  std::string address;                   // "host:port"; port 0: any free one; localhost is 127.0.0.1
  std::vector<grpc::Service*> services;  // must outlive the server
  // Without TLS anybody who reaches the port can command the daemon, so addresses other than loopback must be
  // allowed explicitly.
  bool allow_remote = false;
  int max_message_bytes = kMaxMessageBytes;
  // How much a peer may send ahead on a stream. 0: determined by probing each connection whenever something
  // arrives, which is expensive when many connections carry little.
  int window_bytes = 0;
  // Called before the server starts, for settings not covered here (completion queues, resource quotas).
  std::function<void(grpc::ServerBuilder&)> configure;
};

// A running server. Its destructor shuts it down, cancelling running calls.
class RpcServer {
 public:
  RpcServer(std::unique_ptr<grpc::Server> server, std::string address, int port);
  ~RpcServer();
  RpcServer(const RpcServer&) = delete;
  RpcServer& operator=(const RpcServer&) = delete;

  int port() const { return port_; }
  // "host:port" with the chosen port.
  const std::string& address() const { return address_; }
  grpc::Server* server() { return server_.get(); }

  // Accepts no new calls, waits `grace` for the running ones, then cancels them. Returns when all have ended.
  void Shutdown(absl::Duration grace);

 private:
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
  int port_;
};

// Starts a server with the standard health check (grpc.health.v1) and server reflection.
// Errors: INVALID_ARGUMENT when `address` is not host:port; FAILED_PRECONDITION when it is not loopback and
// allow_remote is false; ALREADY_EXISTS "port 1234 of 127.0.0.1 is in use ..."; otherwise those of bind(2).
absl::StatusOr<std::unique_ptr<RpcServer>> StartServer(const ServerOptions& options);

// Whether StartServer could listen on the address now, without keeping it. Errors: as StartServer.
absl::Status CheckListening(const ServerOptions& options);

// Whether only this machine can reach `address` ("host:port"): localhost, 127.0.0.0/8, [::1].
bool IsLoopback(absl::string_view address);

}  // namespace shoal
