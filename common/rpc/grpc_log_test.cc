#include "common/rpc/grpc_log.h"

#include <memory>
#include <sstream>
#include <string>

#include "absl/status/status.h"
#include "catch2/catch.hpp"
#include "common/rpc/rpc.h"
#include "grpc/support/log.h"
#include "spdlog/sinks/ostream_sink.h"
#include "spdlog/spdlog.h"

namespace shoal {
namespace {

using Catch::Matchers::Contains;

// The lines that are logged while it lives, as "level message".
class CapturedLog {
 public:
  CapturedLog() : before_(spdlog::default_logger()) {
    auto logger =
        std::make_shared<spdlog::logger>("test", std::make_shared<spdlog::sinks::ostream_sink_mt>(text_));
    logger->set_level(spdlog::level::debug);
    logger->set_pattern("%l %v");
    spdlog::set_default_logger(logger);
    SendGrpcLogsToSpdlog();
  }
  ~CapturedLog() { spdlog::set_default_logger(before_); }

  std::string text() const { return text_.str(); }

 private:
  std::ostringstream text_;
  const std::shared_ptr<spdlog::logger> before_;
};

TEST_CASE("An error of gRPC that belongs to no call is a warning in the log") {
  gpr_log_verbosity_init();  // as when gRPC starts
  const CapturedLog log;
  // gRPC logs this once when it stops listening, and the daemon looks healthy otherwise.
  gpr_log(GPR_ERROR, "Failed accept4: %s", "Too many open files");
  CHECK_THAT(log.text(), Contains("warning gRPC: Failed accept4: Too many open files"));
}

TEST_CASE("A port in use is reported by the status alone, and later errors are warnings again") {
  const CapturedLog log;
  ServerOptions options;
  options.address = "127.0.0.1:0";
  const auto first = StartServer(options);
  REQUIRE(first.ok());
  options.address = (*first)->address();
  CHECK(absl::IsAlreadyExists(StartServer(options).status()));
  CHECK_THAT(log.text(), Contains("debug gRPC: ") && !Contains("warning"));
  gpr_log(GPR_ERROR, "something else");
  CHECK_THAT(log.text(), Contains("warning gRPC: something else"));
}

}  // namespace
}  // namespace shoal
