// Who destroys jobs, and where.
#pragma once

#include <memory>

#include "common/executor.h"
#include "server/server_job.h"

namespace shoal::server {

// References to a job are held by requests, by streams and, while they run, by the job's own threads; any of
// them may be the last. A job's destructor waits for its threads, so it must run on none of them: jobs are
// destroyed on one executor, whoever lets go of them. Thread-safe.
class JobOwner {
 public:
  explicit JobOwner(std::unique_ptr<Executor> executor);
  // Waits for the destructor that runs, and destroys the jobs that nobody refers to any more. A job that
  // somebody still refers to is destroyed by whoever lets go of it, so end requests and streams first.
  ~JobOwner();
  JobOwner(const JobOwner&) = delete;
  JobOwner& operator=(const JobOwner&) = delete;

  std::shared_ptr<ServerJob> Own(std::unique_ptr<ServerJob> job);

 private:
  class Retired;

  const std::unique_ptr<Executor> executor_;
  const std::shared_ptr<Retired> retired_;
};

}  // namespace shoal::server
