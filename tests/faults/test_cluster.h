// A local cluster that runs one job, for tests that do things to it meanwhile.
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

// Anything that does not work ends the test case. Nothing is left of it.
class TestCluster {
 public:
  struct Shape {
    int servers = 1;
    int workers = 1;
    int threads = 1;  // of each worker
    std::vector<std::string> scheduler_flags = {}, server_flags = {}, worker_flags = {};
  };
  explicit TestCluster(const Shape& shape);

  LocalCluster& processes() { return *cluster_; }
  SchedulerClient& client() { return *client_; }
  std::string folder() const { return dir_.path(); }

  // configs/jobs/tiny.yaml, longer, with `assignments` on top. Waits for all nodes of the shape. The result
  // is the last version: a best one from before a fault would prove nothing about it.
  JobId Submit(const std::vector<std::string>& assignments = {}, const std::string& resume_from = "");
  // Waits until so many rounds are done.
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
  std::unique_ptr<LocalCluster> cluster_;
  std::unique_ptr<SchedulerClient> client_;
};

// The run of one server, one worker and one thread that nothing happens to: the oracle. Run once a process.
const Job& UndisturbedJob(const std::vector<std::string>& assignments = {});

// Checks that the job has completed with the undisturbed one's bits: the last version's parameters, and the
// loss of each evaluation of a version above `after` (a job that starts from a checkpoint lacks those
// before).
void CheckSameBits(const Job& job, const std::vector<std::string>& assignments = {}, uint64_t after = 0);

}  // namespace shoal
