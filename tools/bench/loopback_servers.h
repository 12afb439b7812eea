// The servers' end of the data plane in this process, for benchmarks of it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/rpc.h"
#include "server/parameter_service.h"
#include "server/server_job.h"

namespace shoal {

// f32 | bf16 | f16. Errors: INVALID_ARGUMENT.
absl::StatusOr<WireFormat> ParseWire(const std::string& name);

struct BenchJobOptions {
  std::vector<uint64_t> group_sizes;  // elements
  uint32_t slots = 1;
  WireFormat wire = WIRE_FORMAT_F32;
};

// A job without data: SGD, no clipping, no evaluation, no checkpoint, more rounds than a benchmark runs; each
// group is one parameter.
absl::StatusOr<std::shared_ptr<const ShardJob>> MakeBenchJob(const BenchJobOptions& options);

// Real servers of one job behind real gRPC on loopback. Whoever pulls from them must have ended first. Not
// thread-safe.
class LoopbackServers {
 public:
  static absl::StatusOr<std::unique_ptr<LoopbackServers>> Start(int count,
                                                                const std::shared_ptr<const ShardJob>& job);

  // A view of all of them, without slots and target.
  View MakeView() const;
  void Install(const View& view);

 private:
  struct Server {
    std::shared_ptr<ServerJob> job;
    std::unique_ptr<ParameterServiceImpl> service;
    std::unique_ptr<RpcServer> rpc;
    ~Server();
  };
  static absl::StatusOr<std::unique_ptr<Server>> StartOne(int index,
                                                          const std::shared_ptr<const ShardJob>& job);

  std::vector<std::unique_ptr<Server>> servers_;
};

}  // namespace shoal
