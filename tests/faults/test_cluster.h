// A local cluster that runs one job, for tests that disturb it while it runs.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "common/storage/test_dir.h"
#include "tools/shoal/local_cluster.h"
#include "tools/shoal/scheduler_client.h"

namespace shoal {

// Any error ends the test case. The destructor leaves nothing behind.
class TestCluster {
 public:
  struct Shape {
    int servers = 1;
    int workers = 1;
    int threads = 1;  // of each worker
    std::vector<std::string> scheduler_flags = {}, server_flags = {}, worker_flags = {};
  };
  explicit TestCluster(const Shape& shape);

  tools::LocalCluster& processes() { return *cluster_; }
  tools::SchedulerClient& client() { return *client_; }
  std::string folder() const { return dir_.path(); }

  // Submits configs/jobs/tiny.yaml, or the job file that `assignments` begins with, made longer, with the
  // (other) assignments applied. The job waits for all nodes of
  // the shape. Its result is the last version: a best one from before a fault would prove nothing about the
  // fault.
  JobId Submit(const std::vector<std::string>& assignments = {}, const std::string& resume_from = "");
  // Waits until `round` rounds are done.
  void WaitForRound(JobId job, uint64_t round);
  // Waits until an event of the job satisfies `wanted`.
  void WaitForEvent(JobId job, const std::function<bool(const JobEvent&)>& wanted);
  // Waits until the job has ended.
  Job WaitForEnd(JobId job);
  void Signal(const std::string& process, int number);

 private:
  Job GetJob(JobId job);

  const Shape shape_;
  TestDir dir_;
  std::unique_ptr<tools::LocalCluster> cluster_;
  std::unique_ptr<tools::SchedulerClient> client_;
};

// The undisturbed run of one server, one worker and one thread: the oracle. Runs once per process.
const Job& UndisturbedJob(const std::vector<std::string>& assignments = {});

// Checks that the job completed with the bits of the undisturbed one: the parameters of the last version, and
// the loss of each evaluation of a version above `after` (a job that starts from a checkpoint lacks the
// earlier ones).
void CheckSameBits(const Job& job, const std::vector<std::string>& assignments = {}, uint64_t after = 0);

}  // namespace shoal
