// The servers' end of the data plane, in this process or another one, for benchmarks.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/synchronization/notification.h"
#include "absl/types/span.h"
#include "common/rpc/rpc.h"
#include "server/parameter_service.h"
#include "server/shard_host.h"

namespace shoal::bench {

// f32 | bf16 | f16. Errors: INVALID_ARGUMENT.
absl::StatusOr<WireFormat> ParseWire(const std::string& name);

struct BenchJobOptions {
  std::vector<uint64_t> group_sizes;  // elements
  uint32_t slots = 1;
  WireFormat wire = WIRE_FORMAT_F32;
};

// A job without data: SGD, no clipping, no evaluation, no checkpoint, more rounds than a benchmark runs; each
// group is one parameter.
absl::StatusOr<std::shared_ptr<const server::ShardConfig>> MakeBenchJob(const BenchJobOptions& options);

// Real servers of one job behind real gRPC on loopback. All pulls from them must have ended before
// destruction. Not thread-safe.
class LoopbackServers {
 public:
  static absl::StatusOr<std::unique_ptr<LoopbackServers>> Start(
      int count, const std::shared_ptr<const server::ShardConfig>& job);

  // A view of all servers, without slots and target.
  View MakeView() const;
  // Returns when all servers serve it. Call once.
  void Install(const View& view);

 private:
  struct Server {
    absl::Notification installed;
    std::shared_ptr<server::ShardHost> job;
    std::unique_ptr<server::ParameterServiceImpl> service;
    std::unique_ptr<RpcServer> rpc;
    ~Server();
  };
  static absl::StatusOr<std::unique_ptr<Server>> StartOne(
      int index, const std::shared_ptr<const server::ShardConfig>& job);

  std::vector<std::unique_ptr<Server>> servers_;
};

// LoopbackServers in a separate process, with the view that they have installed; it ends with this object, or
// with this process. Not thread-safe.
class ServerProcess {
 public:
  // Forks, so call it before this process has threads or has used gRPC. Errors: the system's; INTERNAL when
  // the servers did not start (they have printed why).
  static absl::StatusOr<std::unique_ptr<ServerProcess>> Start(
      int count, const std::shared_ptr<const server::ShardConfig>& job);
  ~ServerProcess();
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  const View& view() const { return view_; }
  // CPU time of all its threads so far.
  double CpuSeconds() const;

 private:
  ServerProcess() = default;

  pid_t pid_ = -1;
  int lifeline_ = -1;  // the servers end when it is closed
  View view_;
};

}  // namespace shoal::bench
