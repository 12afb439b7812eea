#include "common/rpc/rpc.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "common/base/utf8.h"
#include "common/rpc/grpc_deadline.h"

namespace shoal {
namespace {

// For a status, which is sent as metadata: a message of ToMessage, in which each non-ASCII byte takes three,
// and the rest. Above this size gRPC would lose the whole status.
constexpr int kMaxMetadataBytes = 4 * kMaxMessage_bytes;

int Milliseconds(absl::Duration duration) { return static_cast<int>(absl::ToInt64Milliseconds(duration)); }

// google.rpc.Status with its field `code` alone.
std::string OwnDetails(const absl::Status& status) {
  return {'\x08', static_cast<char>(static_cast<int>(status.code()) & 0x7f)};
}

}  // namespace

grpc::Status ToGrpcStatus(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), ToMessage(status.message()),
                      OwnDetails(status));
}

absl::Status FromGrpcStatus(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  const int code = status.error_code();
  const bool known = code >= grpc::StatusCode::CANCELLED && code <= grpc::StatusCode::UNAUTHENTICATED;
  return absl::Status(known ? static_cast<absl::StatusCode>(code) : absl::StatusCode::kUnknown,
                      status.error_message());
}

bool IsForeign(const grpc::Status& status) {
  if (!status.error_details().empty()) return false;
  const grpc::StatusCode code = status.error_code();
  if (code == grpc::StatusCode::UNIMPLEMENTED || code == grpc::StatusCode::UNKNOWN ||
      code == grpc::StatusCode::INTERNAL) {
    return true;
  }
  // gRPC's messages: "Received http2 header with status: 503", "Failed parsing HTTP/2".
  return absl::StrContains(status.error_message(), "http2 header") ||
         absl::StrContains(status.error_message(), "HTTP/2");
}

void SetDeadline(grpc::ClientContext* context, absl::Duration timeout) {
  context->set_deadline(GrpcDeadline(timeout));
}

std::shared_ptr<grpc::Channel> NewChannel(const std::string& address, const ChannelOptions& options) {
  grpc::ChannelArguments arguments;
  // Channels share a connection when all their arguments are equal: this argument serves no other purpose.
  arguments.SetInt("shoal.connection_index", options.connection_index);
  arguments.SetMaxReceiveMessageSize(options.max_message_bytes);
  arguments.SetMaxSendMessageSize(options.max_message_bytes);
  arguments.SetInt(GRPC_ARG_MAX_METADATA_SIZE, kMaxMetadataBytes);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, Milliseconds(options.keepalive_after));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, Milliseconds(options.keepalive_timeout));
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);  // no limit
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, Milliseconds(options.reconnect_first));
  // Despite its name: how long an attempt may take.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, Milliseconds(options.connect_timeout));
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, Milliseconds(options.reconnect_max));
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

}  // namespace shoal
