#include "common/rpc/grpc_log.h"

#include "common/rpc/rpc.h"
#include "grpc/support/log.h"
#include "spdlog/spdlog.h"

namespace shoal {
namespace {

thread_local bool errors_reported = false;

void LogGrpcMessage(gpr_log_func_args* args) {
  const bool warn = args->severity == GPR_LOG_SEVERITY_ERROR && !errors_reported;
  spdlog::log(warn ? spdlog::level::warn : spdlog::level::debug, "gRPC: {}", args->message);
}

}  // namespace

GrpcErrorsReported::GrpcErrorsReported() : before_(errors_reported) { errors_reported = true; }

GrpcErrorsReported::~GrpcErrorsReported() { errors_reported = before_; }

void SendGrpcLogsToSpdlog() { gpr_set_log_function(LogGrpcMessage); }

}  // namespace shoal
