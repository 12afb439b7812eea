// ParameterService over gRPC, with blocks as raw buffers.
#pragma once

#include "proto/parameter.grpc.pb.h"
#include "server/server_node.h"

namespace shoal {

using ParameterServiceBase = ParameterService::WithRawCallbackMethod_Push<
    ParameterService::WithRawCallbackMethod_Pull<ParameterService::WithCallbackMethod_ExchangeNorms<
        ParameterService::WithCallbackMethod_GetVersions<ParameterService::Service>>>>;

// Thread-safe.
class ParameterServiceImpl : public ParameterServiceBase {
 public:
  // `node` must outlive the RPC server.
  explicit ParameterServiceImpl(ServerNode* node) : node_(node) {}

  grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* Push(grpc::CallbackServerContext* context) override;
  grpc::ServerWriteReactor<grpc::ByteBuffer>* Pull(grpc::CallbackServerContext* context,
                                                   const grpc::ByteBuffer* request) override;
  grpc::ServerUnaryReactor* ExchangeNorms(grpc::CallbackServerContext* context, const Norms* request, Norms* response) override;
  grpc::ServerUnaryReactor* GetVersions(grpc::CallbackServerContext* context, const VersionsRequest* request,
                                        VersionsReply* response) override;

 private:
  ServerNode* const node_;
};

}  // namespace shoal
