#include "tests/simulation/cluster.h"

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace shoal::simulation {
namespace {

Weather WeatherOf(const Schedule& schedule) {
  return {schedule.lost, schedule.doubled, schedule.damaged, absl::Milliseconds(schedule.slowest_ms)};
}

}  // namespace

Cluster::Cluster(RunState* state) : state_(state), network_(&state->queue, WeatherOf(state->schedule)) {
  services_.scheduler = [this](const Process* process) {
    return process == scheduler_ ? scheduler_->node() : nullptr;
  };
  services_.server = [this](const Process* process) -> server::ServerJobs* {
    for (const NodeProcess* node : nodes_) {
      if (node == process) return node->server();
    }
    return nullptr;
  };
  services_.oracle = [state](JobId id, const std::string& cluster) -> Oracle* {
    for (const SubmittedJob& job : state->jobs) {
      if (job.id == id && id != JobId(0) && job.cluster == cluster) return job.oracle.get();
    }
    return nullptr;
  };
  StartScheduler();
  for (int i = 0; i < state->schedule.servers; ++i) StartNode(NODE_ROLE_SERVER);
  for (int i = 0; i < state->schedule.workers; ++i) StartNode(NODE_ROLE_WORKER);
}

Cluster::~Cluster() {
  for (const auto& process : processes_) process->Die();
  for (NodeProcess* node : nodes_) BuryNode(node);
  network_.Died(scheduler_, false);
  scheduler_->Bury();
  state_->queue.Clear();
}

template <typename P>
P* Cluster::Add(std::unique_ptr<P> process) {
  P* const added = process.get();
  added->set_on_death([this, added] { Bury(added); });
  processes_.push_back(std::move(process));
  return added;
}

// ---- the scheduler ----

void Cluster::StartScheduler() {
  scheduler_ = Add(std::make_unique<SchedulerProcess>(&state_->queue, &state_->disk, ++numbers_));
  // The last resort recovers from messages that a bug lost, and so would hide the bug.
  const absl::Status started = scheduler_->Start(&tables_, /*last_resort=*/state_->HasFault({"swallow"}));
  if (!started.ok()) {
    if (scheduler_->alive()) state_->Log(absl::StrCat("the scheduler can't start: ", started.message()));
    return scheduler_->Die();
  }
  network_.Listen(kScheduler, scheduler_);
  CutStrays();
}

void Cluster::CutFromSchedulers(Process* process, absl::Duration length) {
  strays_[process] = state_->queue.now() + length;
  CutStrays();
}

void Cluster::CutStrays() {
  for (const auto& [stray, until] : strays_) network_.CutBoth(stray, scheduler_, until - state_->queue.now());
}

// ---- nodes ----

NodeProcess* Cluster::StartNode(NodeRole role) {
  NodeProcess* const node =
      Add(std::make_unique<NodeProcess>(state_, ++numbers_, role, &network_, &services_));
  nodes_.push_back(node);
  node->Start();
  return node;
}

void Cluster::StartNodeAfter(absl::Duration delay, NodeRole role) {
  state_->queue.After(delay, [this, role] { StartNode(role); });
}

std::vector<NodeProcess*> Cluster::Living(NodeRole role) const {
  std::vector<NodeProcess*> living;
  for (NodeProcess* node : nodes_) {
    if (node->role() == role && node->alive()) living.push_back(node);
  }
  return living;
}

bool Cluster::IsAnyoneLeaving() const {
  return std::any_of(nodes_.begin(), nodes_.end(),
                     [](const NodeProcess* node) { return node->alive() && node->leaving(); });
}

// ---- all processes ----

Process* Cluster::Find(const std::string& who) const {
  if (who == "scheduler") return scheduler_->alive() ? scheduler_ : nullptr;
  uint64_t number = 0;
  if (who.size() < 2 || !absl::SimpleAtoi(who.substr(1), &number)) return nullptr;
  const std::vector<NodeProcess*> living = Living(who[0] == 's' ? NODE_ROLE_SERVER : NODE_ROLE_WORKER);
  return living.empty() ? nullptr : living[number % living.size()];
}

void Cluster::LosePower(Process* process) {
  process->Die();
  state_->disk.LosePower(process->number(), [this](uint64_t n) { return state_->queue.Below(n); });
}

void Cluster::LosePowerOfAll() {
  for (const auto& process : processes_) {
    if (process->alive()) LosePower(process.get());
  }
}

void Cluster::Bury(Process* process) {
  if (process != scheduler_) return BuryNode(static_cast<NodeProcess*>(process));
  network_.Died(process, false);
  scheduler_->Bury();
  EventQueue& queue = state_->queue;
  queue.After(queue.Between(absl::Milliseconds(5), absl::Milliseconds(120)), [this, dead = scheduler_] {
    if (scheduler_ == dead) StartScheduler();
  });
}

void Cluster::BuryNode(NodeProcess* node) {
  network_.Died(node, false);
  node->Bury();
}

}  // namespace shoal::simulation
