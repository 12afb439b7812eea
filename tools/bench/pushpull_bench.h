// The speed of gradients to the servers and parameters back.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"

namespace shoal::bench {

struct PushPullOptions {
  int64_t mib = 128;  // of float32 parameters
  int workers = 1;    // each pushes all of its gradient, and pulls all parameters
  int servers = 1;
  std::string wire = "f32";  // f32 | bf16 | f16
  int rounds = 10;
  double gbits = 0;  // simulated speed of each worker's link, each way; 0: only the machine's limit
};

// The real data plane over loopback, with one process for the workers and one for the servers: workers'
// links, the servers' service, summation over the workers, SGD, publishing. Prints a line with
//   gigabytes_per_second        payload pushed and pulled by all workers, per second
//   parameters_per_second       pushed and pulled by each worker
//   bytes_per_parameter         on the wire, both ways, without headers (less than 0.01 % for whole blocks)
//   grpc_gigabytes_per_second   bare gRPC streams from memory, one each way on a connection each, in messages
//                               of a block's size: what the transport can do with one worker and one server
//   grpc_one_connection_gigabytes_per_second, tcp_gigabytes_per_second   both streams on one connection;
//                                                                        plain TCP
//   of_grpc                     gigabytes_per_second over grpc_gigabytes_per_second
//   worker_cpu_seconds_per_gigabyte, server_cpu_seconds_per_gigabyte   of all workers and of all servers
// All are measured alternately, several times each, and the best of each counts: a machine's speed drifts.
// Errors: INVALID_ARGUMENT for an unknown format.
absl::Status RunPushPull(const PushPullOptions& options);

}  // namespace shoal::bench
