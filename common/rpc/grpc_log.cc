#include "common/rpc/grpc_log.h"

#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "common/rpc/rpc.h"
#include "grpc/support/log.h"

namespace shoal {
namespace {

// Aligned as what mold puts behind it, the table of addresses: with less, that may begin on another page than
// the thread's memory before it, which is not mapped, and then the program does not start ("cannot apply
// additional memory protection after relocation").
alignas(16) thread_local bool errors_reported = false;

void LogGrpcMessage(gpr_log_func_args* args) {
  const bool warn = args->severity == GPR_LOG_SEVERITY_ERROR && !errors_reported;
  WriteLog(warn ? LogLevel::kWarning : LogLevel::kDebug, absl::StrCat("gRPC: ", args->message));
}

}  // namespace

GrpcErrorsReported::GrpcErrorsReported() : before_(errors_reported) { errors_reported = true; }

GrpcErrorsReported::~GrpcErrorsReported() { errors_reported = before_; }

void SendGrpcLogsToSpdlog() { gpr_set_log_function(LogGrpcMessage); }

}  // namespace shoal
