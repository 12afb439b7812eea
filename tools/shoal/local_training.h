// A local cluster for one job, from start to exported model.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace shoal::tools {

// The flags of `shoal train`.
struct TrainFlags {
  std::string job_file;
  std::string out;
  int workers = 1;
  int servers = 1;
  int threads = 0;  // of each worker; 0: the processors divided by the workers
  std::vector<std::string> set;
  std::vector<std::string> scheduler_flags, server_flags, worker_flags;
  bool resume = false;
  bool json = false;
};

// Trains until the job has ended or SIGINT or SIGTERM arrives, and stops every process that it has started.
// Progress goes to standard error, the report to standard output. Returns the exit code (commands.h). Errors:
// a process can't be started, or a required one has ended; the folder holds another training.
absl::StatusOr<int> TrainLocally(const TrainFlags& flags);

}  // namespace shoal::tools
