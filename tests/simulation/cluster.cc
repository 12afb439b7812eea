#include "tests/simulation/cluster.h"

#include <algorithm>
#include <cstdio>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/release.h"
#include "common/rpc/artifacts.h"
#include "common/rpc/session_client.h"
#include "common/storage/checkpoint.h"
#include "scheduler/memory_store.h"
#include "scheduler/scheduler_node.h"
#include "server/server_node.h"
#include "tests/simulation/memory_disk.h"
#include "tests/simulation/network.h"
#include "tests/simulation/oracle.h"
#include "tests/simulation/process.h"
#include "tests/simulation/services.h"
#include "tests/simulation/simulated_peer_link.h"
#include "tests/simulation/simulated_scheduler_link.h"
#include "tests/simulation/simulated_streams.h"
#include "tests/simulation/stepwise_runner.h"
#include "worker/retrying_link.h"
#include "worker/worker_jobs.h"

namespace shoal::simulation {
namespace {

constexpr absl::Duration kLongest = absl::Seconds(200);  // maximum for a schedule: longer means a hang
constexpr absl::Duration kPoll = absl::Milliseconds(20);
constexpr size_t kMaxEvents = 20000;  // pending at one time: more means an unbounded queue
constexpr char kJobNames[] = "made-up-";

scheduler::SchedulerOptions CoreOptions() {
  scheduler::SchedulerOptions options;
  options.heartbeat = absl::Milliseconds(150);
  options.lease = absl::Milliseconds(1000);
  options.session_grace = absl::Milliseconds(250);
  options.settle = absl::Milliseconds(50);
  // Longer than any freeze in a schedule, so that the last resort really is the last one here too.
  options.watch.stall = {absl::Seconds(5), absl::Seconds(5)};
  options.storage_patience = absl::Seconds(20);
  options.checkpoint_root = "storage";
  return options;
}

bool IsOver(JobState state) {
  return state == JOB_STATE_COMPLETED || state == JOB_STATE_FAILED || state == JOB_STATE_CANCELLED;
}

// Made-up jobs have no artifacts.
class NoArtifacts : public ArtifactSource {
 public:
  absl::StatusOr<std::string> Fetch(const Artifact&, const Progress&) override {
    return absl::InternalError("no artifact");
  }
  absl::StatusOr<Artifact> Put(const std::string&, const std::string&, const Progress&) override {
    return absl::InternalError("no artifact");
  }
};

// The runner of a simulated worker computes by itself.
class NoProgram : public worker::Program {
 public:
  absl::Status RunSlot(const worker::SlotTask&) override { return absl::InternalError("not run"); }
  absl::StatusOr<EvaluationStatistics> EvaluateSlot(const worker::EvaluationTask&) override {
    return absl::InternalError("not run");
  }
};

class MadeUpBuilder : public worker::ProgramBuilder {
 public:
  void RefuseUntil(EventQueue* queue, absl::Time time) {
    queue_ = queue;
    refuses_until_ = time;
  }
  absl::StatusOr<worker::DerivedJob> Derive(const JobSpec& spec, const Progress&) override {
    if (Refuses()) return absl::ResourceExhaustedError("no space left on device");
    absl::string_view name = spec.name();
    uint64_t number = 0;
    if (!absl::ConsumePrefix(&name, kJobNames) || !absl::SimpleAtoi(name, &number))
      return absl::InvalidArgumentError("not a made-up job");
    worker::DerivedJob derived;
    derived.plan = MakeUpJob(number).plan;
    return derived;
  }
  absl::StatusOr<std::unique_ptr<worker::Program>> Build(const JobSpec&, const JobPlan&,
                                                         const std::map<std::string, std::string>&,
                                                         const Progress&) override {
    if (Refuses()) return absl::ResourceExhaustedError("no space left on device");
    return std::make_unique<NoProgram>();
  }

 private:
  bool Refuses() const { return queue_ != nullptr && queue_->now() < refuses_until_; }

  EventQueue* queue_ = nullptr;
  absl::Time refuses_until_;
};

// The scheduler's store, whose writes are actions of the scheduler's process.
class ProcessStore : public scheduler::Store {
 public:
  ProcessStore(Process* process, scheduler::StoredTables* tables) : process_(process), store_(tables) {}

  absl::StatusOr<std::vector<scheduler::StoredRecord>> ReadAll() override { return store_.ReadAll(); }
  absl::StatusOr<std::vector<JobEvent>> ReadEvents(JobId job, uint64_t after, int limit) override {
    return store_.ReadEvents(job, after, limit);
  }
  absl::Status Apply(const std::vector<scheduler::Action>& actions) override {
    // As SQLite does: a transaction takes a write and a sync.
    absl::Status status = process_->Before("Append", "state/scheduler.sqlite");
    // SchedulerNode::WaitFailed ends the daemon.
    if (!status.ok()) process_->Die();
    if (!status.ok()) return status;
    status = store_.Apply(actions);
    process_->Act();
    return status;
  }

 private:
  Process* const process_;
  scheduler::MemoryStore store_;
};

}  // namespace

// ---- processes ----

namespace {

struct NodeProcess : Process {
  using Process::Process;
  NodeRole role = NODE_ROLE_WORKER;
  JoinRequest join;
  bool leaving = false;

  // What runs in the process; null when it is dead. Destroyed in reverse order, which matters.
  NoArtifacts artifacts;
  MadeUpBuilder builder;
  std::unique_ptr<server::PeerLink> peers;
  std::unique_ptr<server::ServerNode> server;
  std::unique_ptr<worker::WorkerJobs> worker;
  std::unique_ptr<SessionClient> session;

  void Report(NodeReport report) {
    if (session != nullptr) session->Send(std::move(report));
  }
};

struct SchedulerProcess : Process {
  using Process::Process;
  std::unique_ptr<scheduler::SchedulerNode> node;
};

class Cluster {
 public:
  Cluster(const Schedule& schedule, bool log);
  ~Cluster();
  Outcome Run();

 private:
  struct SubmittedJob {
    uint64_t number = 0;  // of MakeUpJob
    int life = 0;         // how often it was submitted again
    JobId id;             // 0: not yet
    std::string cluster;  // that it was submitted to
    std::string folder;
    std::string last_folder;  // of the previous life
    std::string resume_from;
    std::unique_ptr<Oracle> oracle;
    bool cancelled = false;
    bool over = false;
  };

  void Log(const std::string& text) const;
  void Fail(const std::string& text) {
    if (failure_.empty()) failure_ = text;
  }

  // ---- processes ----
  void StartScheduler();
  void CutStrays();
  // Destroys what ran in a dead process.
  void Buried(Process* process);
  NodeProcess* StartNode(NodeRole role);
  void NodeDied(NodeProcess* process);
  std::vector<NodeProcess*> Living(NodeRole role) const;
  // `who` as in a Fault; null: there is no such process.
  Process* Find(const std::string& who) const;
  NodeProcess* FindNode(const std::string& who) const;
  void Kill(const std::string& who, bool power, int back_ms);
  void Power(Process* process);

  // ---- jobs ----
  void SubmitWhenPossible(size_t job);
  void Resubmit();
  void PutStoreBack(const scheduler::StoredTables& before);
  std::string ChooseResume(const SubmittedJob& job);
  void OnSubmitted(SubmittedJob* job);
  void CancelWhenPossible(size_t job);
  void Poll();
  void CheckOver(SubmittedJob* job);
  void CheckTraining(const SubmittedJob& job, const std::vector<JobEvent>& events);
  bool HasFault(const std::set<std::string>& kinds) const;
  void CheckCheckpoints(const SubmittedJob& job, const Job& described);

  void Happen(const Fault& fault);
  void DamageCheckpoint(const Fault& fault);
  uint64_t Draw(uint64_t n) { return queue_.Below(n); }

  const Schedule schedule_;
  const bool log_;
  EventQueue queue_;
  MemoryDisk disk_;
  Network network_;
  Services services_;
  scheduler::StoredTables tables_;
  std::vector<std::unique_ptr<Process>> processes_;  // including dead ones: events may refer to them
  SchedulerProcess* scheduler_ = nullptr;
  std::vector<NodeProcess*> nodes_;
  int numbers_ = 0;
  int stores_ = 1;  // stores that began empty
  std::vector<SubmittedJob> jobs_;
  std::map<Process*, absl::Time> strays_;  // until when they stay cut off
  std::set<std::string> damaged_;          // checkpoints
  std::set<std::string> forgotten_;        // checkpoints that an older store, put back, knows of
  std::string failure_;
  Outcome outcome_;
};

Cluster::Cluster(const Schedule& schedule, bool log)
    : schedule_(schedule),
      log_(log),
      queue_(schedule.seed),
      network_(&queue_,
               {schedule.lost, schedule.doubled, schedule.damaged, absl::Milliseconds(schedule.slowest_ms)}) {
  services_.scheduler = [this](const Process* process) {
    return process == scheduler_ ? scheduler_->node.get() : nullptr;
  };
  services_.server = [this](const Process* process) -> server::ServerNode* {
    for (NodeProcess* node : nodes_) {
      if (node == process) return node->server.get();
    }
    return nullptr;
  };
  services_.oracle = [this](JobId id, const std::string& cluster) -> Oracle* {
    for (SubmittedJob& job : jobs_) {
      if (job.id == id && id != JobId(0) && job.cluster == cluster) return job.oracle.get();
    }
    return nullptr;
  };
  StartScheduler();
  for (int i = 0; i < schedule.servers; ++i) StartNode(NODE_ROLE_SERVER);
  for (int i = 0; i < schedule.workers; ++i) StartNode(NODE_ROLE_WORKER);
  for (uint64_t number : schedule.jobs) {
    SubmittedJob& job = jobs_.emplace_back();
    job.number = number;
    job.folder = absl::StrCat("storage/job-", jobs_.size());
    job.oracle = std::make_unique<Oracle>(MakeUpJob(number));
  }
}

Cluster::~Cluster() {
  for (const auto& process : processes_) process->Die();
  for (NodeProcess* node : nodes_) NodeDied(node);
  network_.Died(scheduler_, false);
  scheduler_->node.reset();
  queue_.Clear();
}

void Cluster::Log(const std::string& text) const {
  if (log_) std::fprintf(stderr, "%s %s\n", absl::FormatDuration(queue_.elapsed()).c_str(), text.c_str());
}

// ---- processes ----

void Cluster::StartScheduler() {
  auto made = std::make_unique<SchedulerProcess>(&queue_, &disk_, ++numbers_, "scheduler");
  SchedulerProcess* const process = made.get();
  processes_.push_back(std::move(made));
  scheduler_ = process;
  process->set_on_death([this, process] { Buried(process); });
  scheduler::SchedulerNode::Options options;
  options.core = CoreOptions();
  options.core.new_cluster_id = absl::StrCat("cluster-", numbers_);
  // The last resort recovers from messages that a bug lost, and so would hide the bug.
  if (!HasFault({"swallow"})) options.core.watch.stall = {absl::Hours(1), absl::Hours(1)};
  options.store = std::make_unique<ProcessStore>(process, &tables_);
  options.artifact_dir = "state/artifacts";
  options.env = process->env();
  options.executors = process->executors();
  auto node = scheduler::SchedulerNode::Start(std::move(options));
  if (!node.ok()) {
    if (process->alive()) Log(absl::StrCat("the scheduler can't start: ", node.status().message()));
    return process->Die();
  }
  process->node = *std::move(node);
  network_.Listen(kScheduler, process);
  CutStrays();
}

void Cluster::CutStrays() {
  for (const auto& [stray, until] : strays_) {
    network_.Cut(stray, scheduler_, until - queue_.now());
    network_.Cut(scheduler_, stray, until - queue_.now());
  }
}

void Cluster::Buried(Process* process) {
  if (process != scheduler_) return NodeDied(static_cast<NodeProcess*>(process));
  network_.Died(process, false);
  scheduler_->node.reset();
  // A service manager starts it again.
  queue_.After(queue_.Between(absl::Milliseconds(5), absl::Milliseconds(120)), [this, dead = scheduler_] {
    if (scheduler_ == dead) StartScheduler();
  });
}

NodeProcess* Cluster::StartNode(NodeRole role) {
  const int number = ++numbers_;
  const bool serves = role == NODE_ROLE_SERVER;
  const std::string name = absl::StrCat(serves ? "server-" : "worker-", number);
  auto made = std::make_unique<NodeProcess>(&queue_, &disk_, number, name);
  NodeProcess* const process = made.get();
  processes_.push_back(std::move(made));
  nodes_.push_back(process);
  process->role = role;
  const auto report = [process](NodeReport report) { process->Report(std::move(report)); };
  SessionCallbacks callbacks;
  if (serves) {
    process->peers = NewPeerLink(process, &network_, &services_);
    server::ServerNode::Options options;
    options.threads = 1;
    options.env = process->env();
    options.executors = process->executors();
    options.peers = process->peers.get();
    options.report = report;
    process->server = std::make_unique<server::ServerNode>(std::move(options));
    server::ServerNode* const server = process->server.get();
    callbacks.on_joined = [process, server](const JoinResponse& joined) {
      process->set_cluster(joined.cluster_id());
      server->OnJoined(NodeId(joined.node_id()));
    };
    callbacks.on_session_opened = [server] { server->OnSessionOpened(); };
    callbacks.on_directive = [server](const Directive& directive) { server->OnDirective(directive); };
    callbacks.on_lease_lost = [server] { server->OnLeaseLost(); };
    callbacks.heartbeat = [server] { return server->MakeHeartbeat(); };
    network_.Listen(absl::StrCat(name, ":1"), process);
  } else {
    worker::WorkerJobs::Options options;
    options.place = name;
    options.builder = &process->builder;
    options.artifacts = &process->artifacts;
    options.report = report;
    options.make_runner = [this, process](worker::WorkerRounds::Options rounds,
                                          std::unique_ptr<worker::Program>) {
      ParameterStreamsOptions link;
      link.self = process;
      link.network = &network_;
      link.services = &services_;
      link.wire = rounds.wire;
      link.block_elements = rounds.group_sizes;
      Oracle* const oracle = services_.oracle(rounds.job, process->cluster());
      return std::make_unique<StepwiseRunner>(
          process, oracle, std::move(rounds), [link](worker::ParameterLinkEvents* events) {
            worker::RetryingLink::Options options;
            options.backoff_seed = static_cast<uint64_t>(link.self->number());
            options.executors = link.self->executors();
            return std::make_unique<worker::RetryingLink>(std::move(options), events,
                                                          [link](worker::StreamEvents* stream_events) {
                                                            return NewParameterStreams(link, stream_events);
                                                          });
          });
    };
    options.executors = process->executors();
    options.on_stuck = [this, process](const absl::Status& status) {
      Log(absl::StrCat(process->name(), " is stuck: ", status.message()));
      process->Die();
    };
    process->worker = std::make_unique<worker::WorkerJobs>(std::move(options));
    worker::WorkerJobs* const worker = process->worker.get();
    callbacks.on_joined = [process, worker](const JoinResponse& joined) {
      process->set_cluster(joined.cluster_id());
      worker->OnJoined(NodeId(joined.node_id()));
    };
    callbacks.on_session_opened = [worker] { worker->OnSessionOpened(); };
    callbacks.on_directive = [worker](const Directive& directive) { worker->OnDirective(directive); };
    callbacks.on_lease_lost = [worker] { worker->OnLeaseLost(); };
    callbacks.heartbeat = [worker] { return worker->MakeHeartbeat(); };
  }
  SessionOptions session;
  session.scheduler = kScheduler;
  session.join.set_protocol_version(kProtocolVersion);
  session.join.set_role(role);
  session.join.set_name(name);
  session.join.set_machine(name);
  session.join.set_address(absl::StrCat(name, ":1"));
  session.join.set_incarnation(static_cast<uint64_t>(number));
  session.executors = process->executors();
  session.link = [this, process] { return NewSchedulerLink(process, &network_, &services_); };
  process->session = std::make_unique<SessionClient>(std::move(session), std::move(callbacks));
  process->set_on_death([this, process] { Buried(process); });
  return process;
}

void Cluster::NodeDied(NodeProcess* process) {
  network_.Died(process, false);
  process->session.reset();
  process->worker.reset();
  process->server.reset();
  process->peers.reset();
}

std::vector<NodeProcess*> Cluster::Living(NodeRole role) const {
  std::vector<NodeProcess*> living;
  for (NodeProcess* node : nodes_) {
    if (node->role == role && node->alive()) living.push_back(node);
  }
  return living;
}

NodeProcess* Cluster::FindNode(const std::string& who) const {
  uint64_t number = 0;
  if (who.size() < 2 || !absl::SimpleAtoi(who.substr(1), &number)) return nullptr;
  const std::vector<NodeProcess*> living = Living(who[0] == 's' ? NODE_ROLE_SERVER : NODE_ROLE_WORKER);
  return living.empty() ? nullptr : living[number % living.size()];
}

Process* Cluster::Find(const std::string& who) const {
  if (who != "scheduler") return FindNode(who);
  return scheduler_->alive() ? scheduler_ : nullptr;
}

void Cluster::Power(Process* process) {
  process->Die();
  disk_.LosePower(process->number(), [this](uint64_t n) { return Draw(n); });
}

void Cluster::Kill(const std::string& who, bool power, int back_ms) {
  Process* const process = Find(who);
  if (process == nullptr) return;
  power ? Power(process) : process->Die();
  if (process == scheduler_) return;  // it always comes back
  const NodeRole role = static_cast<NodeProcess*>(process)->role;
  if (back_ms > 0 || Living(role).empty())
    queue_.After(absl::Milliseconds(std::max(back_ms, 1)), [this, role] { StartNode(role); });
}

// ---- jobs ----

void Cluster::SubmitWhenPossible(size_t j) {
  SubmittedJob& job = jobs_[j];
  if (job.over || job.id != JobId(0)) return;
  absl::Status status = absl::UnavailableError("no scheduler");
  if (scheduler_->node != nullptr && scheduler_->Thaw("") <= queue_.now()) {
    SubmitJobRequest request;
    request.set_request_id(absl::StrCat("job-", j, "-", job.life));
    *request.mutable_spec() = job.oracle->job().spec;
    request.mutable_spec()->set_name(absl::StrCat(kJobNames, job.number));
    request.set_checkpoint_dir(job.folder);
    if (job.life > 0) job.resume_from = ChooseResume(job);
    request.set_resume_from(job.resume_from);
    const auto id = scheduler_->node->Submit(request);
    status = id.status();
    if (id.ok() && scheduler_->alive()) {
      job.id = *id;
      job.cluster = scheduler_->node->GetStatus()->cluster_id();
      return OnSubmitted(&job);
    }
  }
  if (absl::IsInvalidArgument(status) || absl::IsAlreadyExists(status))
    return Fail(absl::StrCat("job ", j, " is refused: ", status.message()));
  queue_.After(kPoll, [this, j] { SubmitWhenPossible(j); });
}

void Cluster::CancelWhenPossible(size_t j) {
  SubmittedJob& job = jobs_[j];
  if (job.over) return;
  if (job.id != JobId(0) && scheduler_->node != nullptr && scheduler_->Thaw("") <= queue_.now()) {
    job.cancelled = true;  // also when the scheduler dies while storing it
    if (scheduler_->node->Cancel(job.id).ok() && scheduler_->alive()) return;
  }
  queue_.After(kPoll, [this, j] { CancelWhenPossible(j); });
}

// The checkpoint from which an operator would continue the job: the newest intact version in its last folder,
// or else what it continued from then. Empty when the best version up to there is lost, since the job would
// then keep a different one.
std::string Cluster::ChooseResume(const SubmittedJob& job) {
  MemoryEnv env(&disk_, 0, nullptr);
  std::vector<std::string> paths = {job.resume_from};
  for (Version version : ListCheckpoints(&env, job.last_folder).value_or(std::vector<Version>()))
    paths.push_back(JoinPath(job.last_folder, CheckpointName(version)));
  const auto is_whole = [&](const std::string& path) {
    if (damaged_.count(path) > 0) return false;
    const auto reader = CheckpointReader::Open(&env, path);
    return reader.ok() && reader->Verify().ok();  // or it was being deleted
  };
  paths.erase(std::remove_if(paths.begin(), paths.end(), [&](const auto& path) { return !is_whole(path); }),
              paths.end());
  if (paths.empty()) return "";
  const uint64_t newest = ReadManifest(&env, paths.back())->version();
  uint64_t best = 0;
  for (const EvaluationRecord& evaluation : job.oracle->reference().evaluations) {
    if (evaluation.best() && evaluation.version() <= newest) best = evaluation.version();
  }
  const bool needed = best > 0 && job.oracle->job().spec.evaluation().keep_best();
  const std::string folder = DirName(paths.back());
  return needed && !is_whole(JoinPath(folder, CheckpointName(Version(best)))) ? "" : paths.back();
}

// The job's metrics begin at the round that it says it continues from.
void Cluster::OnSubmitted(SubmittedJob* job) {
  JobDefinition definition;
  const auto stored = tables_.find({scheduler::kJobTable, scheduler::RecordKey(job->id.value())});
  if (stored == tables_.end() || !definition.ParseFromString(stored->second))
    return Fail("a job that was accepted is not stored");
  job->oracle->set_first_round(definition.origin_version());
  const bool given_up = definition.origin_version() == 0 && !job->resume_from.empty();
  if (given_up && damaged_.count(job->resume_from) == 0)
    Fail(absl::StrCat("a job does not go on from ", job->resume_from, ", which is intact"));
}

// Submits all unfinished jobs again.
void Cluster::Resubmit() {
  ++stores_;
  for (size_t j = 0; j < jobs_.size(); ++j) {
    SubmittedJob& job = jobs_[j];
    job.id = JobId(0);  // a new store counts from 1 again
    if (job.over) continue;
    job.cancelled = false;
    ++job.life;
    job.last_folder = job.folder;
    job.folder = absl::StrCat("storage/job-", j + 1, "-", job.life);
    SubmitWhenPossible(j);
  }
}

// An operator would not put back a copy that does not know all jobs.
void Cluster::PutStoreBack(const scheduler::StoredTables& before) {
  for (const SubmittedJob& job : jobs_) {
    if (before.count({scheduler::kStateTable, scheduler::RecordKey(job.id.value())}) == 0) return;
  }
  scheduler_->Die();
  for (const SubmittedJob& job : jobs_) {
    JobStateRecord record;
    record.ParseFromString(before.at({scheduler::kStateTable, scheduler::RecordKey(job.id.value())}));
    for (const auto& checkpoint : record.checkpoints()) forgotten_.insert(checkpoint.directory());
  }
  tables_ = before;
}

void Cluster::Poll() {
  for (SubmittedJob& job : jobs_) {
    if (!job.over && job.id != JobId(0)) CheckOver(&job);
    if (!job.oracle->failure().empty()) Fail(job.oracle->failure());
  }
  queue_.After(kPoll, [this] { Poll(); });
}

void Cluster::CheckOver(SubmittedJob* job) {
  const auto stored = tables_.find({scheduler::kStateTable, scheduler::RecordKey(job->id.value())});
  JobStateRecord record;
  if (stored == tables_.end() || !record.ParseFromString(stored->second) || !IsOver(record.state())) return;
  if (scheduler_->node == nullptr) return;
  const auto described = scheduler_->node->GetJob(job->id);
  if (!described.ok()) return;
  job->over = true;
  if (log_)
    Log(absl::StrCat("job ", job->id.value(), ": ", JobState_Name(record.state()), " ", record.reason()));
  if (record.state() == JOB_STATE_CANCELLED && job->cancelled) return;
  // A disk that fails for long enough is allowed to end a job.
  const bool disk = absl::StrContains(record.reason(), "Input/output error") ||
                    absl::StrContains(record.reason(), "could not be written");
  if (record.state() == JOB_STATE_FAILED && disk && HasFault({"full", "broken", "unmount"})) {
    outcome_.ended_by_disk = true;
    return;
  }
  if (record.state() != JOB_STATE_COMPLETED) {
    return Fail(absl::StrCat("job ", job->id.value(), " has ended as ", JobState_Name(record.state()), ": ",
                             record.reason()));
  }
  std::vector<JobEvent> events;
  scheduler::MemoryStore store(&tables_);
  while (true) {
    const auto more = store.ReadEvents(job->id, events.empty() ? 0 : events.back().sequence(), 1000);
    if (!more.ok() || more->empty()) break;
    events.insert(events.end(), more->begin(), more->end());
  }
  job->oracle->OnCompleted(*described, events);
  CheckTraining(*job, events);
  CheckCheckpoints(*job, *described);
  outcome_.interventions += described->interventions();
  outcome_.restores = record.view().restore().restore_id();
  outcome_.stopped_early = outcome_.stopped_early || described->result().stopped_early();
  outcome_.kept_older = outcome_.kept_older || described->result().version() < described->result().rounds();
}

// Only a store that was put back makes a job begin another training; one that begins it for another reason
// hides a fault, as another training mends most states.
void Cluster::CheckTraining(const SubmittedJob& job, const std::vector<JobEvent>& events) {
  if (HasFault({"outdate"})) return;
  for (const JobEvent& event : events) {
    if (absl::StrContains(event.message(), "store is an older copy"))
      Fail(absl::StrCat("job ", job.id.value(), ": ", event.message()));
  }
}

bool Cluster::HasFault(const std::set<std::string>& kinds) const {
  return std::any_of(schedule_.faults.begin(), schedule_.faults.end(),
                     [&](const Fault& fault) { return kinds.count(fault.kind) > 0; });
}

// Checkpoints that the scheduler calls committed must exist and be intact.
void Cluster::CheckCheckpoints(const SubmittedJob& job, const Job& described) {
  MemoryEnv env(&disk_, 0, nullptr);
  for (uint64_t version : described.checkpoints()) {
    const std::string path = JoinPath(job.folder, CheckpointName(Version(version)));
    // Checkpoints of an earlier life stay in their own folder.
    if (!env.FileExists(path) && version <= job.oracle->first_round() && job.life > 0) continue;
    // Pruned after the copy that was put back was made.
    if (forgotten_.count(path) > 0) continue;
    if (damaged_.count(path) > 0) continue;
    ++outcome_.checkpoints;
    const auto reader = CheckpointReader::Open(&env, path);
    const absl::Status status = reader.ok() ? reader->Verify().status() : reader.status();
    if (!status.ok()) return Fail(absl::StrCat("a committed checkpoint is lost: ", status.message()));
  }
}

// ---- faults ----

void Cluster::Happen(const Fault& fault) {
  Log(absl::StrCat("fault: ", fault.kind, " ", fault.who, " ", fault.other));
  const absl::Duration length = absl::Milliseconds(fault.length_ms);
  Process* const who = Find(fault.who);
  if (fault.kind == "kill" || fault.kind == "power")
    return Kill(fault.who, fault.kind == "power", fault.length_ms);
  if (fault.kind == "crash") {
    if (who == nullptr) return;
    who->DieAfter(fault.number);
    who->set_on_death([this, who, length] {
      Log(absl::StrCat(who->name(), " has crashed"));
      Buried(who);
      disk_.LosePower(who->number(), [this](uint64_t n) { return Draw(n); });
      if (who != scheduler_) {
        queue_.After(length, [this, role = static_cast<NodeProcess*>(who)->role] { StartNode(role); });
      }
    });
    return;
  }
  if (fault.kind == "freeze" && who != nullptr) return who->Freeze("", length);
  if (fault.kind == "hang" && who != nullptr) return who->Freeze(fault.other, length);
  if (fault.kind == "cut" || fault.kind == "cut1") {
    Process* const other = Find(fault.other);
    if (who == nullptr || other == nullptr || who == other) return;
    network_.Cut(who, other, length);
    if (fault.kind == "cut") network_.Cut(other, who, length);
    return;
  }
  if (fault.kind == "stray" && who != nullptr) {
    strays_[who] = queue_.now() + length;
    return CutStrays();
  }
  if (fault.kind == "island" && who != nullptr) {
    const NodeRole role = static_cast<NodeProcess*>(who)->role;
    for (NodeProcess* other : Living(role == NODE_ROLE_SERVER ? NODE_ROLE_WORKER : NODE_ROLE_SERVER)) {
      network_.Cut(who, other, length);
      network_.Cut(other, who, length);
    }
    return;
  }
  if (fault.kind == "swallow" && who != nullptr)
    return network_.Swallow(who, fault.other, fault.number, length);
  if (fault.kind == "full" && who != nullptr)
    return who->BreakDisk("", length, absl::ResourceExhaustedError("No space left on device"));
  if (fault.kind == "broken" && who != nullptr)
    return who->BreakDisk("", length, absl::InternalError("Input/output error"));
  if (fault.kind == "unmount" && who != nullptr) return who->Unmount("storage/", length);
  if (fault.kind == "flip" || fault.kind == "tear" || fault.kind == "swap" || fault.kind == "lose")
    return DamageCheckpoint(fault);
  if (fault.kind == "leave" && who != nullptr) {
    NodeProcess* const node = static_cast<NodeProcess*>(who);
    if (Living(node->role).size() < 2 || node->leaving) return;
    node->leaving = true;
    node->session->StartLeaving();
    // SIGTERM waits for the release, but not forever.
    node->After(absl::Seconds(3), [node] { node->Die(); });
    if (fault.length_ms > 0) queue_.After(length, [this, role = node->role] { StartNode(role); });
    return;
  }
  if (fault.kind == "join") {
    StartNode(fault.who == "s" ? NODE_ROLE_SERVER : NODE_ROLE_WORKER);
    return;
  }
  if (fault.kind == "refuse" && who != nullptr)
    return static_cast<NodeProcess*>(who)->builder.RefuseUntil(&queue_, queue_.now() + length);
  uint64_t number = 0;
  if (fault.kind == "cancel" && absl::SimpleAtoi(fault.who.substr(1), &number) && number < jobs_.size())
    return CancelWhenPossible(number);
  if (fault.kind == "forget") {
    scheduler_->Die();
    tables_.clear();
    return Resubmit();
  }
  if (fault.kind == "outdate") {
    queue_.After(length, [this, before = tables_, stores = stores_] {
      if (stores == stores_) PutStoreBack(before);
    });
    return;
  }
  if (fault.kind == "rebuild") {
    const size_t servers = Living(NODE_ROLE_SERVER).size(), workers = Living(NODE_ROLE_WORKER).size();
    for (const auto& process : processes_) {
      if (process->alive()) Power(process.get());
    }
    tables_.clear();
    for (size_t i = 0; i < std::max<size_t>(1, servers % 3 + 1); ++i) StartNode(NODE_ROLE_SERVER);
    for (size_t i = 0; i < std::max<size_t>(1, workers); ++i) StartNode(NODE_ROLE_WORKER);
    return Resubmit();
  }
}

void Cluster::DamageCheckpoint(const Fault& fault) {
  std::vector<std::string> files;
  for (const std::string& file : disk_.Files("storage/")) {
    if (absl::StrContains(file, "/version-") && !absl::StrContains(file, ".partial")) files.push_back(file);
  }
  if (files.empty()) return;
  const std::string& file = files[fault.number % files.size()];
  damaged_.insert(DirName(file));
  Log(absl::StrCat("damaged: ", file));
  std::string* const bytes = disk_.Bytes(file);
  if (fault.kind == "flip" && !bytes->empty()) {
    (*bytes)[Draw(bytes->size())] ^= static_cast<char>(1 << Draw(8));
  } else if (fault.kind == "tear") {
    bytes->resize(Draw(bytes->size() + 1));
  } else if (fault.kind == "swap") {
    const std::string& other = files[Draw(files.size())];
    damaged_.insert(DirName(other));
    disk_.Swap(file, other);
  } else if (fault.kind == "lose") {
    (void)disk_.Remove(0, file);
  }
}

// ---- the run ----

Outcome Cluster::Run() {
  for (size_t j = 0; j < jobs_.size(); ++j) SubmitWhenPossible(j);
  for (const Fault& fault : schedule_.faults)
    queue_.After(absl::Milliseconds(fault.at_ms), [this, fault] { Happen(fault); });
  Poll();
  const auto over = [this] {
    return std::all_of(jobs_.begin(), jobs_.end(), [](const SubmittedJob& job) { return job.over; });
  };
  while (failure_.empty() && !over()) {
    if (queue_.elapsed() > kLongest) {
      std::string stalls;
      if (scheduler_->node != nullptr) {
        const auto status = scheduler_->node->GetStatus();
        if (status.ok()) stalls = status->ShortDebugString();
      }
      Fail(absl::StrCat("the jobs have not ended in ", absl::FormatDuration(kLongest), ": ", stalls));
    }
    if (queue_.waiting() > kMaxEvents) Fail("a queue grows without bound");
    queue_.Step();
  }
  for (const SubmittedJob& job : jobs_) {
    if (!job.oracle->failure().empty()) Fail(job.oracle->failure());
  }
  outcome_.failure = failure_;
  outcome_.time = queue_.elapsed();
  outcome_.events = queue_.steps();
  for (const auto& process : processes_) {
    outcome_.actions += process->actions();
    outcome_.crashed = outcome_.crashed || process->crashed();
  }
  return outcome_;
}

}  // namespace

Outcome RunSchedule(const Schedule& schedule, bool log) { return Cluster(schedule, log).Run(); }

Schedule Shrink(Schedule failing, int budget) {
  bool smaller = true;
  while (smaller) {
    smaller = false;
    for (const Schedule& simpler : Simpler(failing)) {
      if (--budget < 0) return failing;
      if (RunSchedule(simpler).failure.empty()) continue;
      failing = simpler;
      smaller = true;
      break;
    }
  }
  return failing;
}

}  // namespace shoal::simulation
