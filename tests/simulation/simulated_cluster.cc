#include "tests/simulation/simulated_cluster.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status.h"
#include "common/version.h"
#include "tests/simulation/simulated_job.h"
#include "tests/simulation/simulated_node.h"
#include "tests/simulation/simulated_server.h"
#include "tests/simulation/simulated_worker.h"

namespace shoal::simulation {
namespace {

constexpr absl::Duration kTick = absl::Milliseconds(10);
constexpr absl::Duration kRetry = absl::Milliseconds(10);
constexpr absl::Duration kFrozen = absl::Milliseconds(400);           // longer than a lease
constexpr absl::Duration kFrozenScheduler = absl::Milliseconds(800);  // longer than many
// Faults fall into the time that an undisturbed run takes.
constexpr absl::Duration kFaultWindow = absl::Milliseconds(250);
constexpr absl::Duration kCancelWindow = absl::Milliseconds(100);

scheduler::SchedulerOptions Options() {
  scheduler::SchedulerOptions options;
  options.heartbeat = absl::Milliseconds(30);
  options.lease = absl::Milliseconds(200);
  options.session_grace = absl::Milliseconds(60);
  options.settle = absl::Milliseconds(20);
  options.max_block_elements = kSimulatedBlockElements;
  return options;
}

}  // namespace

SimulatedCluster::SimulatedCluster(uint64_t seed, int servers, int workers, const Hardship& hardship)
    : queue_(seed), hardship_(hardship) {
  StartScheduler();
  for (int i = 0; i < servers; ++i) AddServer();
  for (int i = 0; i < workers; ++i) AddWorker();
}

SimulatedCluster::~SimulatedCluster() = default;

// With SHOAL_SIMULATION_LOG set a schedule tells what happens.
void SimulatedCluster::Log(const std::string& text) const {
  static const bool wanted = std::getenv("SHOAL_SIMULATION_LOG") != nullptr;
  if (wanted)
    std::fprintf(stderr, "%s %s\n", absl::FormatDuration(queue_.now() - absl::UnixEpoch()).c_str(),
                 text.c_str());
}

// ---- nodes ----

void SimulatedCluster::AddServer() {
  nodes_.push_back(std::make_unique<SimulatedServer>(this, absl::StrCat("server-", ++names_)));
  StartJoin(nodes_.back().get());
}

void SimulatedCluster::AddWorker() {
  nodes_.push_back(std::make_unique<SimulatedWorker>(this, absl::StrCat("worker-", ++names_)));
  StartJoin(nodes_.back().get());
}

std::vector<SimulatedNode*> SimulatedCluster::Living(NodeRole role) {
  std::vector<SimulatedNode*> living;
  for (const auto& node : nodes_) {
    if (node->role() == role && node->alive()) living.push_back(node.get());
  }
  return living;
}

SimulatedServer* SimulatedCluster::ServerAt(const std::string& address) {
  for (SimulatedNode* node : Living(NODE_ROLE_SERVER)) {
    if (node->address() == address) return static_cast<SimulatedServer*>(node);
  }
  return nullptr;
}

// ---- sessions ----

void SimulatedCluster::StartJoin(SimulatedNode* node) {
  node->After(Delay(), [this, node] {
    if (SchedulerFrozen()) return node->After(SchedulerThaw(), [this, node] { StartJoin(node); });
    if (scheduler_ == nullptr) return node->After(kRetry, [this, node] { StartJoin(node); });
    node->join().set_protocol_version(kProtocolVersion);
    const auto joined = scheduler_->Join(queue_.now(), node->join());
    SHOAL_CHECK_OK(joined);
    CarryOut();
    node->set_id(joined->node_id());
    OpenSession(node);
  });
}

void SimulatedCluster::OpenSession(SimulatedNode* node) {
  node->After(Delay(), [this, node] {
    if (SchedulerFrozen()) return node->After(SchedulerThaw(), [this, node] { OpenSession(node); });
    if (scheduler_ == nullptr) return node->After(kRetry, [this, node] { OpenSession(node); });
    Hello hello;
    hello.set_node_id(node->id());
    *hello.mutable_join() = node->join();
    const absl::Status status = scheduler_->SessionOpened(queue_.now(), NodeId(node->id()), hello);
    if (!status.ok()) {
      node->DropAll();
      return StartJoin(node);
    }
    Session& session = sessions_[node];
    session = Session{node, next_generation_++, queue_.now(), queue_.now()};
    const uint64_t generation = session.generation;
    CarryOut();
    node->After(Delay(), [this, node, generation] {
      if (sessions_[node].generation != generation) return;
      node->OnSessionOpened();
    });
    BeatLater(node, generation);
  });
}

void SimulatedCluster::BeatLater(SimulatedNode* node, uint64_t generation) {
  node->After(Options().heartbeat, [this, node, generation] {
    if (sessions_[node].generation != generation) return;
    NodeReport report;
    report.mutable_heartbeat();
    SendReport(node, std::move(report));
    BeatLater(node, generation);
  });
}

// The stream breaks: the scheduler learns of it, and the node opens another one.
void SimulatedCluster::BreakSession(SimulatedNode* node) {
  if (sessions_[node].generation == 0) return;
  sessions_[node].generation = 0;
  const uint64_t life = scheduler_life_;
  const uint64_t id = node->id();
  AtScheduler(Delay(), [this, node, life, id] {
    if (life != scheduler_life_ || scheduler_ == nullptr || sessions_[node].generation != 0) return;
    scheduler_->SessionBroken(queue_.now(), NodeId(id));
    CarryOut();
  });
  ReopenSession(node);
}

void SimulatedCluster::ReopenSession(SimulatedNode* node) {
  node->After(Delay(), [this, node] {
    if (sessions_[node].generation == 0) OpenSession(node);
  });
}

void SimulatedCluster::SendReport(SimulatedNode* node, NodeReport report) {
  Session& session = sessions_[node];
  if (session.generation == 0) return;  // reported anew in the next session
  if (queue_.Chance(hardship_.break_stream / 4)) return BreakSession(node);
  session.last_up = std::max(session.last_up, queue_.now() + Delay());
  const uint64_t generation = session.generation;
  AtScheduler(session.last_up - queue_.now(), [this, node, generation, report = std::move(report)] {
    if (sessions_[node].generation != generation || scheduler_ == nullptr) return;
    const absl::Status status = scheduler_->Report(queue_.now(), NodeId(node->id()), report);
    CarryOut();
    if (absl::IsFailedPrecondition(status)) BreakSession(node);
  });
}

void SimulatedCluster::Deliver(NodeId id, const Directive& directive) {
  for (auto& [node, session] : sessions_) {
    if (node->id() != id.value() || session.generation == 0) continue;
    session.last_down = std::max(session.last_down, queue_.now() + Delay());
    const uint64_t generation = session.generation;
    SimulatedNode* const to = node;
    to->After(session.last_down - queue_.now(), [this, to, generation, directive] {
      if (sessions_[to].generation == generation) to->OnDirective(directive);
    });
  }
}

// ---- scheduler ----

void SimulatedCluster::StartScheduler() {
  scheduler_ = std::make_unique<scheduler::SchedulerCore>(Options());
  ++scheduler_life_;
  std::vector<scheduler::StoredRecord> records;
  for (const auto& [key, value] : records_) {
    if (key.first != scheduler::kEventTable) records.push_back({key.first, key.second, value});
  }
  SHOAL_CHECK_OK(scheduler_->Load(queue_.now(), records));
  CarryOut();
  Tick();
}

void SimulatedCluster::AtScheduler(absl::Duration delay, std::function<void()> event) {
  queue_.After(delay, [this, event = std::move(event)] {
    if (SchedulerFrozen()) return AtScheduler(SchedulerThaw(), event);
    event();
  });
}

void SimulatedCluster::Tick() {
  const uint64_t life = scheduler_life_;
  AtScheduler(kTick, [this, life] {
    if (life != scheduler_life_ || scheduler_ == nullptr) return;
    scheduler_->Tick(queue_.now());
    CarryOut();
    Tick();
  });
}

void SimulatedCluster::KillScheduler() {
  if (scheduler_ == nullptr) return;
  Log("killed: scheduler");
  scheduler_.reset();
  scheduler_frozen_until_ = absl::InfinitePast();
  ++scheduler_life_;
  for (const auto& node : nodes_) {
    if (sessions_[node.get()].generation == 0) continue;
    sessions_[node.get()].generation = 0;
    ReopenSession(node.get());
  }
  queue_.After(queue_.Between(absl::Milliseconds(5), absl::Milliseconds(100)), [this] { StartScheduler(); });
}

JobId SimulatedCluster::SubmitJob(const std::string& name) {
  SubmitJobRequest request;
  request.set_request_id(name);
  *request.mutable_spec() = SimulatedSpec();
  request.set_checkpoint_dir(absl::StrCat("checkpoints-of-", name));
  const auto job = scheduler_->Submit(queue_.now(), request, std::nullopt);
  SHOAL_CHECK_OK(job);
  CarryOut();
  return *job;
}

void SimulatedCluster::CancelLater(JobId job) {
  queue_.After(queue_.Between(absl::ZeroDuration(), kCancelWindow), [this, job] {
    WhenSchedulerLives([this, job] {
      Log(absl::StrCat("cancelled: job ", job.value()));
      SHOAL_CHECK_OK(scheduler_->Cancel(queue_.now(), job));
      CarryOut();
    });
  });
}

void SimulatedCluster::WhenSchedulerLives(std::function<void()> event) {
  if (scheduler_ != nullptr && !SchedulerFrozen()) return event();
  queue_.After(kRetry, [this, event = std::move(event)] { WhenSchedulerLives(event); });
}

void SimulatedCluster::CarryOut() {
  while (true) {
    std::vector<scheduler::Action> actions = scheduler_->TakeActions();
    if (actions.empty()) return;
    for (scheduler::Action& action : actions) CarryOut(action);
  }
}

void SimulatedCluster::CarryOut(scheduler::Action& action) {
  const uint64_t life = scheduler_life_;
  const auto answer = [this, life](std::function<void()> event) {
    AtScheduler(queue_.Between(absl::Microseconds(100), absl::Milliseconds(5)), [this, life, event] {
      if (life != scheduler_life_ || scheduler_ == nullptr) return;
      event();
      CarryOut();
    });
  };
  if (auto* persist = std::get_if<scheduler::Persist>(&action)) {
    records_[{persist->record.table, persist->record.key}] = persist->record.value;
  } else if (auto* erase = std::get_if<scheduler::Erase>(&action)) {
    records_.erase({erase->table, erase->key});
  } else if (auto* send = std::get_if<scheduler::SendDirective>(&action)) {
    Deliver(send->node, send->directive);
  } else if (auto* commit = std::get_if<scheduler::CommitCheckpointFiles>(&action)) {
    answer([this, c = *commit] {
      scheduler_->CheckpointCommitted(queue_.now(), c.job, Version(c.manifest.version()),
                                      storage_.Commit(c.folder, c.manifest));
    });
  } else if (auto* remove = std::get_if<scheduler::DeleteCheckpointFiles>(&action)) {
    storage_.Delete(remove->folder, remove->version);
  } else if (auto* leftovers = std::get_if<scheduler::DeletePartialFiles>(&action)) {
    storage_.DeletePartial(leftovers->folder);
  } else if (auto* compute = std::get_if<scheduler::ComputeResult>(&action)) {
    answer([this, c = *compute] {
      scheduler_->ResultComputed(queue_.now(), c.job, c.version, storage_.ThetaSha256(c.checkpoint));
    });
  } else if (auto* publish = std::get_if<scheduler::PublishEvent>(&action)) {
    if (publish->job == job_) ended_ = publish->event.state().ended_unix_ms() > 0;
  } else if (auto* line = std::get_if<scheduler::LogLine>(&action)) {
    Log(line->text);
  } else if (auto* end = std::get_if<scheduler::EndSession>(&action)) {
    for (auto& [node, session] : sessions_) {
      if (node->id() != end->node.value() || session.generation == 0) continue;
      session.generation = 0;
      ReopenSession(node);
    }
  }
}

// ---- faults ----

void SimulatedCluster::PlanFaults() {
  const auto later = [this](std::function<void()> fault) {
    queue_.After(queue_.Between(absl::ZeroDuration(), kFaultWindow), std::move(fault));
  };
  for (int i = 0; i < hardship_.kill_workers; ++i)
    later([this] { KillOne(NODE_ROLE_WORKER, queue_.Chance(0.5)); });
  for (int i = 0; i < hardship_.kill_servers; ++i) later([this] { KillOne(NODE_ROLE_SERVER, true); });
  for (int i = 0; i < hardship_.freeze_workers; ++i) later([this] { FreezeOne(NODE_ROLE_WORKER); });
  for (int i = 0; i < hardship_.freeze_servers; ++i) later([this] { FreezeOne(NODE_ROLE_SERVER); });
  for (int i = 0; i < hardship_.freeze_scheduler; ++i) later([this] { FreezeScheduler(); });
  for (int i = 0; i < hardship_.join_workers; ++i) later([this] { AddWorker(); });
  for (int i = 0; i < hardship_.kill_scheduler; ++i) later([this] { KillScheduler(); });
}

void SimulatedCluster::KillOne(NodeRole role, bool comes_back) {
  const std::vector<SimulatedNode*> living = Living(role);
  if (living.empty()) return;
  SimulatedNode* const victim = living[queue_.Below(living.size())];
  Log(absl::StrCat("killed: node ", victim->id(), ", ", victim->address()));
  victim->Kill();
  BreakSession(victim);
  if (!comes_back && living.size() > 1) return;
  queue_.After(queue_.Between(absl::Milliseconds(1), absl::Milliseconds(300)), [this, role] {
    if (role == NODE_ROLE_SERVER) {
      AddServer();
    } else {
      AddWorker();
    }
  });
}

void SimulatedCluster::FreezeOne(NodeRole role) {
  const std::vector<SimulatedNode*> living = Living(role);
  if (living.empty()) return;
  SimulatedNode* const victim = living[queue_.Below(living.size())];
  const absl::Duration time = queue_.Between(absl::Milliseconds(5), kFrozen);
  Log(absl::StrCat("frozen for ", absl::FormatDuration(time), ": node ", victim->id(), ", ",
                   victim->address()));
  victim->FreezeUntil(queue_.now() + time);
}

void SimulatedCluster::FreezeScheduler() {
  if (scheduler_ == nullptr) return;
  const absl::Duration time = queue_.Between(absl::Milliseconds(5), kFrozenScheduler);
  Log(absl::StrCat("frozen for ", absl::FormatDuration(time), ": scheduler"));
  scheduler_frozen_until_ = std::max(scheduler_frozen_until_, queue_.now() + time);
}

// ---- the run ----

SimulationResult SimulatedCluster::Run(absl::Duration limit) {
  for (int i = 0; i < hardship_.cancelled_jobs; ++i) CancelLater(SubmitJob(absl::StrCat("cancelled-", i)));
  job_ = SubmitJob("the-job");
  PlanFaults();
  const absl::Time start = queue_.now();
  while (!ended_ && queue_.now() - start < limit && queue_.Step()) {
  }
  SimulationResult result;
  result.time = queue_.now() - start;
  if (scheduler_ == nullptr) return result;
  const ClusterStatus status = scheduler_->GetStatus(queue_.now());
  for (const std::string& stall : status.stalls()) Log(stall);
  const auto job = scheduler_->GetJob(job_);
  if (!job.ok()) return result;
  result.state = job->state();
  result.reason = job->reason();
  result.result = job->result();
  result.evaluations.assign(job->evaluations().begin(), job->evaluations().end());
  if (!job->checkpoints().empty()) result.last_checkpoint = *job->checkpoints().rbegin();
  result.restores = job->view().restore().restore_id();
  result.views = static_cast<int>(job->view().view());
  return result;
}

}  // namespace shoal::simulation
