// What the far ends of simulated links find at the process that they have reached.
#pragma once

#include <functional>
#include <string>

#include "common/base/types.h"
#include "scheduler/scheduler_node.h"
#include "server/server_jobs.h"
#include "tests/simulation/oracle.h"
#include "tests/simulation/process.h"

namespace shoal::simulation {

// The address of the scheduler.
inline constexpr char kScheduler[] = "scheduler:1";

// The services that a process runs; null where it runs none. A dead process has none.
struct Services {
  std::function<scheduler::SchedulerNode*(const Process*)> scheduler;
  std::function<server::ServerJobs*(const Process*)> server;
  // The oracle of a job for a process of that cluster; null: none watches it. Nodes that stay in a cluster
  // that is gone may still run another job of the same number.
  std::function<Oracle*(JobId, const std::string& cluster)> oracle;
  // Of what passes between the two.
  Oracle* Watching(JobId job, const std::string& to, const std::string& from) const {
    Oracle* const of_receiver = oracle(job, to);
    return of_receiver != nullptr ? of_receiver : oracle(job, from);
  }
};

}  // namespace shoal::simulation
