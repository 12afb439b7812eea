// A whole cluster in one thread and in simulated time: the real cores of scheduler, servers and workers, with
// a network that delays, loses, doubles, damages and reorders, and machines that die, freeze, come back and
// join late.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "common/types.h"
#include "proto/scheduler.pb.h"
#include "scheduler/scheduler_core.h"
#include "tests/simulation/event_queue.h"
#include "tests/simulation/simulated_storage.h"

namespace shoal::simulation {

// How hard a schedule is. Probabilities are per message, counts per run.
struct Hardship {
  double break_stream = 0;  // a message is lost: its stream breaks
  double duplicate = 0;
  double damage = 0;                               // of payloads
  absl::Duration slowest = absl::Milliseconds(2);  // of a message
  int kill_workers = 0;
  int freeze_workers = 0;
  int freeze_servers = 0;
  int join_workers = 0;
  int kill_servers = 0;    // each comes back as a new node
  int kill_scheduler = 0;  // restarted from its store
  int freeze_scheduler = 0;
  absl::Duration longest = absl::Seconds(60);  // of the whole run: more is a hang
  uint64_t most_restores = 1000;               // that the schedule explains
  int cancelled_jobs = 0;                      // before the job that counts: each is cancelled at some time
};

struct SimulationResult {
  JobState state = JOB_STATE_UNSPECIFIED;
  std::string reason;
  JobResult result;
  std::vector<EvaluationRecord> evaluations;
  uint64_t last_checkpoint = 0;  // version
  absl::Duration time;           // simulated
  int views = 0;
  uint64_t restores = 0;  // restore points
};

class SimulatedNode;
class SimulatedServer;
class SimulatedWorker;

// Runs a job to its end, after those that are cancelled. A pure function of its arguments.
class SimulatedCluster {
 public:
  SimulatedCluster(uint64_t seed, int servers, int workers, const Hardship& hardship);
  ~SimulatedCluster();

  // Until the job has ended, or `limit` of simulated time is over (state stays what it is then).
  SimulationResult Run(absl::Duration limit);

  // ---- for nodes ----
  EventQueue& queue() { return queue_; }
  const Hardship& hardship() const { return hardship_; }
  SimulatedStorage& storage() { return storage_; }
  absl::Duration Delay() { return queue_.Between(absl::Microseconds(50), hardship_.slowest); }
  // The server that listens at `address`; null: nobody.
  SimulatedServer* ServerAt(const std::string& address);
  void SendReport(SimulatedNode* node, NodeReport report);
  void StartJoin(SimulatedNode* node);

 private:
  struct Session {
    SimulatedNode* node = nullptr;
    uint64_t generation = 0;        // of the stream; 0: none stands
    absl::Time last_up, last_down;  // messages of one stream keep their order
  };

  void Log(const std::string& text) const;
  void AddServer();
  void AddWorker();
  void OpenSession(SimulatedNode* node);
  // Sends a heartbeat each interval while the session of this generation lives.
  void BeatLater(SimulatedNode* node, uint64_t generation);
  void BreakSession(SimulatedNode* node);
  void ReopenSession(SimulatedNode* node);
  void Deliver(NodeId node, const Directive& directive);
  void Tick();
  JobId SubmitJob(const std::string& name);
  void CancelLater(JobId job);
  void WhenSchedulerLives(std::function<void()> event);
  void CarryOut();
  void CarryOut(scheduler::Action& action);
  void KillScheduler();
  void StartScheduler();
  void PlanFaults();
  void KillOne(NodeRole role, bool comes_back);
  void FreezeOne(NodeRole role);
  void FreezeScheduler();
  bool SchedulerFrozen() const { return queue_.now() < scheduler_frozen_until_; }
  absl::Duration SchedulerThaw() const { return scheduler_frozen_until_ - queue_.now(); }
  // Runs `event` after `delay`; later, in the order of arrival, when the scheduler is frozen then.
  void AtScheduler(absl::Duration delay, std::function<void()> event);
  std::vector<SimulatedNode*> Living(NodeRole role);

  EventQueue queue_;
  const Hardship hardship_;
  SimulatedStorage storage_;
  std::map<std::pair<std::string, std::string>, std::string> records_;  // the scheduler's store
  std::unique_ptr<scheduler::SchedulerCore> scheduler_;                 // null: dead
  uint64_t scheduler_life_ = 0;
  absl::Time scheduler_frozen_until_ = absl::InfinitePast();
  uint64_t next_generation_ = 1;
  std::vector<std::unique_ptr<SimulatedNode>> nodes_;  // the dead too: events may refer to them
  std::map<SimulatedNode*, Session> sessions_;
  JobId job_;
  bool ended_ = false;
  int names_ = 0;
};

}  // namespace shoal::simulation
