// gRPC's own log. SendGrpcLogsToSpdlog is in rpc.h.
#pragma once

namespace shoal {

// While it lives, gRPC's errors on this thread are logged for debugging only: the caller reports what failed.
class GrpcErrorsReported {
 public:
  GrpcErrorsReported();
  ~GrpcErrorsReported();
  GrpcErrorsReported(const GrpcErrorsReported&) = delete;
  GrpcErrorsReported& operator=(const GrpcErrorsReported&) = delete;

 private:
  const bool before_;
};

}  // namespace shoal
