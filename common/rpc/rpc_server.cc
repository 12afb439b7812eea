#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <mutex>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/status.h"
#include "common/rpc/grpc_deadline.h"
#include "common/rpc/grpc_log.h"
#include "common/rpc/rpc.h"
#include "grpcpp/ext/proto_server_reflection_plugin.h"
#include "grpcpp/health_check_service_interface.h"

namespace shoal {
namespace {

struct HostPort {
  std::string host;  // without the brackets of an IPv6 address
  int port = 0;

  std::string ToString() const {
    const bool v6 = absl::StrContains(host, ':');
    return v6 ? absl::StrCat("[", host, "]:", port) : absl::StrCat(host, ":", port);
  }
};

absl::StatusOr<HostPort> ParseHostPort(absl::string_view address) {
  const size_t colon = address.rfind(':');
  HostPort result;
  uint32_t port = 0;
  const bool has_port =
      colon != absl::string_view::npos && absl::SimpleAtoi(address.substr(colon + 1), &port);
  absl::string_view host = address.substr(0, has_port ? colon : 0);
  const bool bracketed = absl::ConsumePrefix(&host, "[") && absl::ConsumeSuffix(&host, "]");
  if (host.empty() || port > 65535 || (!bracketed && absl::StrContains(host, ':'))) {
    return absl::InvalidArgumentError(absl::StrCat(
        "expected an address host:port, such as 127.0.0.1:7070 or [::1]:7070, got '", address, "'"));
  }
  result.host = std::string(host);
  result.port = static_cast<int>(port);
  return result;
}

bool IsLoopbackHost(absl::string_view host) {
  if (host == "localhost" || host == "::1") return true;
  // Not a name that begins like that: 127.example.org may be anywhere.
  return absl::StartsWith(host, "127.") && host.find_first_not_of("0123456789.") == absl::string_view::npos;
}

// The errno of binding to one address; 0 on success.
int TryBind(const addrinfo& address) {
  const int fd = socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno;
  const int reuse = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof(reuse));
  int error = 0;
  if (bind(fd, address.ai_addr, address.ai_addrlen) != 0 || listen(fd, 1) != 0) error = errno;
  close(fd);
  return error;
}

absl::StatusOr<HostPort> AddressOf(const ServerOptions& options) {
  SHOAL_ASSIGN_OR_RETURN(HostPort address, ParseHostPort(options.address));
  if (!options.allow_remote && !IsLoopbackHost(address.host)) {
    return absl::FailedPreconditionError(absl::StrCat(
        "refusing to listen on ", options.address,
        ": without TLS anybody who reaches it could command this daemon. Use 127.0.0.1, or allow it with "
        "--allow-remote on a network that you trust"));
  }
  // One address, so that port 0 means one port, and a partial success (IPv6 free, IPv4 taken) is impossible.
  if (address.host == "localhost") address.host = "127.0.0.1";
  return address;
}

// Binds to the host's addresses until one is free, and leaves it again.
absl::Status TryListening(const HostPort& address) {
  addrinfo hints = {};
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int failure = getaddrinfo(address.host.c_str(), absl::StrCat(address.port).c_str(), &hints, &found);
  if (failure != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("can't resolve the host '", address.host, "': ", gai_strerror(failure)));
  }
  int error = EADDRNOTAVAIL;
  for (const addrinfo* each = found; each != nullptr && error != 0; each = each->ai_next)
    error = TryBind(*each);
  freeaddrinfo(found);
  // Without IPv6, gRPC takes [::] for 0.0.0.0.
  if (error == EAFNOSUPPORT && address.host == "::") return absl::OkStatus();
  if (error == EADDRINUSE) {
    return absl::AlreadyExistsError(
        absl::StrCat("port ", address.port, " of ", address.host,
                     " is in use; choose another, or stop the process that uses it"));
  }
  if (error != 0) return absl::ErrnoToStatus(error, absl::StrCat("can't listen on ", address.ToString()));
  return absl::OkStatus();
}

// gRPC says only that it failed; so we bind once more ourselves to find the reason.
absl::Status WhyNotListening(const HostPort& address) {
  SHOAL_RETURN_IF_ERROR(TryListening(address));
  return absl::UnavailableError(
      absl::StrCat("can't listen on ", address.ToString(), "; trying again may help"));
}

// Process-wide in gRPC: they apply to all servers built afterwards.
void EnablePlugins() {
  static std::once_flag once;
  std::call_once(once, [] {
    grpc::EnableDefaultHealthCheckService(true);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  });
}

void SetArguments(const ServerOptions& options, grpc::ServerBuilder* builder) {
  builder->SetMaxReceiveMessageSize(options.max_message_bytes);
  builder->SetMaxSendMessageSize(options.max_message_bytes);
  if (options.window_bytes > 0) {
    builder->AddChannelArgument(GRPC_ARG_HTTP2_BDP_PROBE, 0);
    builder->AddChannelArgument(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, options.window_bytes);
  }
  // Without this, two daemons could share a port, and each would get some of the calls.
  builder->AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  // Peers probe silent connections (NewChannel), which is not an attack.
  builder->AddChannelArgument(GRPC_ARG_HTTP2_MAX_PING_STRIKES, 0);
}

// gRPC binds on this thread, and logs several errors for a port in use, which WhyNotListening explains.
std::unique_ptr<grpc::Server> BuildAndStart(grpc::ServerBuilder* builder) {
  const GrpcErrorsReported reported;
  return builder->BuildAndStart();
}

}  // namespace

RpcServer::RpcServer(std::unique_ptr<grpc::Server> server, std::string address, int port)
    : server_(std::move(server)), address_(std::move(address)), port_(port) {}

RpcServer::~RpcServer() { Shutdown(absl::ZeroDuration()); }

void RpcServer::Shutdown(absl::Duration grace) {
  server_->Shutdown(GrpcDeadline(grace));
  server_->Wait();
}

absl::StatusOr<std::unique_ptr<RpcServer>> StartServer(const ServerOptions& options) {
  SHOAL_ASSIGN_OR_RETURN(HostPort address, AddressOf(options));
  EnablePlugins();
  grpc::ServerBuilder builder;
  SetArguments(options, &builder);
  int port = 0;
  builder.AddListeningPort(address.ToString(), grpc::InsecureServerCredentials(), &port);
  for (grpc::Service* service : options.services) builder.RegisterService(service);
  if (options.configure) options.configure(builder);
  std::unique_ptr<grpc::Server> server = BuildAndStart(&builder);
  if (server == nullptr || port == 0) return WhyNotListening(address);
  address.port = port;
  return std::make_unique<RpcServer>(std::move(server), address.ToString(), port);
}

absl::Status CheckListening(const ServerOptions& options) {
  SHOAL_ASSIGN_OR_RETURN(const HostPort address, AddressOf(options));
  return TryListening(address);
}

bool IsLoopback(absl::string_view address) {
  const absl::StatusOr<HostPort> parsed = ParseHostPort(address);
  return parsed.ok() && IsLoopbackHost(parsed->host);
}

}  // namespace shoal
