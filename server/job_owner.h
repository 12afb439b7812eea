// Who destroys jobs, and where.
#pragma once

#include <memory>

#include "common/base/executor.h"
#include "server/shard_host.h"

namespace shoal::server {

// References to a job are held by requests, by streams and, while they run, by the job's own threads; any of
// them may be the last. A job's destructor waits for its threads, so it must run on none of them: each job is
// destroyed on an executor of its own, whoever lets go of it, so that one whose disk does not answer holds up
// no other. Thread-safe.
class JobOwner {
 public:
  // `executors` makes "jobs", one for each job that nobody refers to any more.
  explicit JobOwner(ExecutorFactory executors);
  // Waits for the destructors that run, as long as they take, and destroys the jobs that nobody refers to any
  // more. A job that somebody still refers to is destroyed by whoever lets go of it, so end requests and
  // streams first.
  ~JobOwner();
  JobOwner(const JobOwner&) = delete;
  JobOwner& operator=(const JobOwner&) = delete;

  std::shared_ptr<ShardHost> Own(std::unique_ptr<ShardHost> job);
  // How many jobs that nobody refers to any more are not destroyed yet. Each keeps its memory.
  size_t former() const;

 private:
  class Retired;

  const std::shared_ptr<Retired> retired_;
};

}  // namespace shoal::server
