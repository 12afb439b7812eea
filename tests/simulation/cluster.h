// The processes of a run and the network between them: who starts, is found, dies and comes back.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "tests/simulation/network.h"
#include "tests/simulation/node_process.h"
#include "tests/simulation/run_state.h"
#include "tests/simulation/scheduler_process.h"
#include "tests/simulation/services.h"

namespace shoal::simulation {

// Not thread-safe.
class Cluster {
 public:
  // Starts a scheduler and the schedule's nodes. `state` must outlive it.
  explicit Cluster(RunState* state);
  // Ends all processes. No event runs afterwards.
  ~Cluster();

  // The newest one, dead or alive. Something like a service manager replaces it soon after its death.
  SchedulerProcess* scheduler() const { return scheduler_; }
  // What the scheduler has stored, which outlives it.
  scheduler::StoredTables* tables() { return &tables_; }
  Network* network() { return &network_; }

  // ---- nodes, which nothing replaces by itself ----
  NodeProcess* StartNode(NodeRole role);
  void StartNodeAfter(absl::Duration delay, NodeRole role);
  std::vector<NodeProcess*> Living(NodeRole role) const;
  bool IsAnyoneLeaving() const;

  // ---- all processes ----
  // `who` as in a Fault; null: there is no such process.
  Process* Find(const std::string& who) const;
  // All that there ever were.
  const std::vector<std::unique_ptr<Process>>& processes() const { return processes_; }
  // Cuts it off from the scheduler, and from any that takes its place, for `length`.
  void CutFromSchedulers(Process* process, absl::Duration length);
  // The process dies, and data that its machine has not synced may be lost.
  void LosePower(Process* process);
  void LosePowerOfAll();
  // What follows a death: peers learn of it, and what ran in the process is destroyed. Called by the event
  // after the death, unless somebody replaces Process::set_on_death.
  void Bury(Process* process);

 private:
  template <typename P>
  P* Add(std::unique_ptr<P> process);
  void StartScheduler();
  void CutStrays();
  void BuryNode(NodeProcess* node);

  RunState* const state_;
  Network network_;
  Services services_;
  scheduler::StoredTables tables_;
  std::vector<std::unique_ptr<Process>> processes_;  // including dead ones: events may refer to them
  SchedulerProcess* scheduler_ = nullptr;
  std::vector<NodeProcess*> nodes_;
  int numbers_ = 0;                        // of processes given so far
  std::map<Process*, absl::Time> strays_;  // until when they stay cut off from schedulers
};

}  // namespace shoal::simulation
