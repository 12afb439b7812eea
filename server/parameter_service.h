// ParameterService over gRPC, with blocks as raw buffers.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "proto/parameter.grpc.pb.h"
#include "server/push_binding.h"

namespace shoal::server {

using ParameterServiceBase = ParameterService::WithRawCallbackMethod_Push<
    ParameterService::WithRawCallbackMethod_Pull<ParameterService::WithCallbackMethod_GetNorms<
        ParameterService::WithCallbackMethod_GetVersions<ParameterService::Service>>>>;

// Thread-safe. noexcept, like everything that gRPC calls: gRPC would swallow an exception (out of memory) and
// leave the stream hanging forever. Instead the process ends, which its peers notice.
//
// What waits on a stream is bounded. A Push has one contribution in memory, and gRPC's flow control holds the
// worker back; replies to damaged contributions wait behind the one being written, and with more than
// kMaxReplies of them the stream ends (a worker that gets one pushes everything again on a new stream
// anyway). A Pull has the one block that is being written. Streams are limited by WorkerStreams::kMaxStreams.
class ParameterServiceImpl : public ParameterServiceBase {
 public:
  static constexpr size_t kMaxReplies = 16;
  // The job with this number, if it runs here.
  using FindJob = PushBinding::FindJob;
  explicit ParameterServiceImpl(FindJob find) : find_(std::move(find)) {}

  grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* Push(
      grpc::CallbackServerContext* context) noexcept override;
  grpc::ServerWriteReactor<grpc::ByteBuffer>* Pull(grpc::CallbackServerContext* context,
                                                   const grpc::ByteBuffer* request) noexcept override;
  grpc::ServerUnaryReactor* GetNorms(grpc::CallbackServerContext* context, const NormsRequest* request,
                                     Norms* response) noexcept override;
  grpc::ServerUnaryReactor* GetVersions(grpc::CallbackServerContext* context, const VersionsRequest* request,
                                        VersionsReply* response) noexcept override;

 private:
  const FindJob find_;
};

}  // namespace shoal::server
