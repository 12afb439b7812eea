// Destroys jobs, each on its own executor.
#pragma once

#include <memory>

#include "common/base/executor.h"
#include "server/shard_host.h"

namespace shoal::server {

// References to a job are held by requests, by streams and, while they run, by the job's own threads; any of
// them may be the last. A job's destructor waits for the job's threads, so it must not run on any of them.
// Each job is therefore destroyed on an executor of its own, whichever thread drops the last reference, so
// that a job whose disk hangs does not hold up the others. Thread-safe.
class JobOwner {
 public:
  // `executors` makes one executor, "jobs", for each job that is no longer referenced.
  explicit JobOwner(ExecutorFactory executors);
  // Destroys the jobs that are no longer referenced and waits for running destructors, however long they
  // take. A job that is still referenced is destroyed when its last reference is dropped, so end requests
  // and streams first.
  ~JobOwner();
  JobOwner(const JobOwner&) = delete;
  JobOwner& operator=(const JobOwner&) = delete;

  std::shared_ptr<ShardHost> Own(std::unique_ptr<ShardHost> job);
  // The number of jobs that are no longer referenced but not destroyed yet. Each still holds its memory.
  size_t former() const;

 private:
  class Retired;

  const std::shared_ptr<Retired> retired_;
};

}  // namespace shoal::server
