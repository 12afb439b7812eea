#include "tests/simulation/node_process.h"

#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "common/base/release.h"
#include "common/protocol/blocks.h"
#include "tests/simulation/simulated_peer_link.h"
#include "tests/simulation/simulated_scheduler_link.h"
#include "tests/simulation/simulated_streams.h"
#include "tests/simulation/stepwise_runner.h"
#include "tests/simulation/whole_slot_runner.h"
#include "worker/retrying_link.h"

namespace shoal::simulation {
namespace {

// From its release to its end.
constexpr absl::Duration kMaxGoodbye = absl::Milliseconds(300);
constexpr absl::Duration kLeavePatience = absl::Seconds(20);
// An attempt to join may be lost, the next one after the longest backoff too.
constexpr absl::Duration kReleasePatience = absl::Seconds(15);

std::string NameOf(NodeRole role, int number) {
  return absl::StrCat(role == NODE_ROLE_SERVER ? "server-" : "worker-", number);
}

// `Shell` is server::ServerJobs or worker::WorkerJobs.
template <typename Shell>
SessionCallbacks CallbacksTo(Shell* shell, Process* process) {
  SessionCallbacks callbacks;
  callbacks.on_joined = [process, shell](const JoinResponse& joined) {
    process->set_cluster(joined.cluster_id());
    shell->OnJoined(NodeId(joined.node_id()));
  };
  callbacks.on_session_opened = [shell] { shell->OnSessionOpened(); };
  callbacks.on_directive = [shell](const Directive& directive) { shell->OnDirective(directive); };
  callbacks.on_lease_lost = [shell] { shell->OnLeaseLost(); };
  callbacks.heartbeat = [shell] { return shell->MakeHeartbeat(); };
  return callbacks;
}

std::unique_ptr<worker::ParameterLink> NewRetryingLink(const ParameterStreamsOptions& streams,
                                                       worker::ParameterLinkEvents* events) {
  worker::RetryingLink::Options options;
  options.backoff_seed = static_cast<uint64_t>(streams.self->number());
  options.executors = streams.self->executors();
  return std::make_unique<worker::RetryingLink>(
      std::move(options), events,
      [streams](worker::StreamEvents* stream_events) { return NewParameterStreams(streams, stream_events); });
}

}  // namespace

NodeProcess::NodeProcess(RunState* state, int number, NodeRole role, Network* network,
                         const Services* services)
    : Process(&state->queue, &state->disk, number, NameOf(role, number)),
      state_(state),
      role_(role),
      network_(network),
      services_(services) {}

void NodeProcess::Start() {
  SessionCallbacks callbacks = role_ == NODE_ROLE_SERVER ? StartServer() : StartWorker();
  SessionOptions session;
  session.scheduler = kScheduler;
  session.join.set_protocol_version(kProtocolVersion);
  session.join.set_role(role_);
  session.join.set_name(name());
  session.join.set_machine(name());
  session.join.set_address(absl::StrCat(name(), ":1"));
  session.join.set_incarnation(static_cast<uint64_t>(number()));
  session.executors = executors();
  session.link = [this] { return NewSchedulerLink(this, network_, services_); };
  session_ = std::make_unique<SessionClient>(std::move(session), std::move(callbacks));
}

SessionCallbacks NodeProcess::StartServer() {
  peers_ = NewPeerLink(this, network_, services_);
  server::ServerJobs::Options options;
  options.threads = 1;
  options.env = env();
  options.executors = executors();
  options.peers = peers_.get();
  options.report = [this](NodeReport report) { Report(std::move(report)); };
  server_ = std::make_unique<server::ServerJobs>(std::move(options));
  network_->Listen(absl::StrCat(name(), ":1"), this);
  return CallbacksTo(server_.get(), this);
}

SessionCallbacks NodeProcess::StartWorker() {
  worker::WorkerJobs::Options options;
  options.place = name();
  options.builder = &builder_;
  options.artifacts = &artifacts_;
  options.report = [this](NodeReport report) { Report(std::move(report)); };
  options.make_runner = [this](worker::WorkerRounds::Options rounds,
                               std::unique_ptr<worker::Program> program) {
    auto* const made_up = static_cast<MadeUpProgram*>(program.release());  // of builder_
    return MakeRunner(std::move(rounds), absl::WrapUnique(made_up));
  };
  options.executors = executors();
  options.on_stuck = [this](const absl::Status& status) {
    state_->Log(absl::StrCat(name(), " is stuck: ", status.message()));
    Die();
  };
  worker_ = std::make_unique<worker::WorkerJobs>(std::move(options));
  return CallbacksTo(worker_.get(), this);
}

// Every other process of a run has the runner that ships.
std::unique_ptr<worker::JobRunner> NodeProcess::MakeRunner(worker::WorkerRounds::Options rounds,
                                                           std::unique_ptr<MadeUpProgram> program) {
  ParameterStreamsOptions streams;
  streams.self = this;
  streams.network = network_;
  streams.services = services_;
  streams.wire = rounds.wire;
  for (const BlockSpec& block : CutBlocks(rounds.group_sizes, rounds.max_block_elements))
    streams.block_elements.push_back(block.size);
  Oracle* const oracle = services_->oracle(rounds.job, cluster());
  const auto make_link = [streams](worker::ParameterLinkEvents* events) {
    return NewRetryingLink(streams, events);
  };
  if ((state_->schedule.seed + static_cast<uint64_t>(number())) % 2 == 0) {
    return std::make_unique<WholeSlotRunner>(this, oracle, std::move(rounds), std::move(program), make_link);
  }
  return std::make_unique<StepwiseRunner>(this, oracle, program->job(), std::move(rounds), make_link);
}

void NodeProcess::Report(NodeReport report) {
  if (session_ != nullptr) session_->Send(std::move(report));
}

void NodeProcess::Bury() {
  session_.reset();
  worker_.reset();
  server_.reset();
  peers_.reset();
}

void NodeProcess::Leave() {
  leaving_ = true;
  session_->StartLeaving();
  AwaitRelease(absl::ZeroDuration(), absl::ZeroDuration());
}

void NodeProcess::AwaitRelease(absl::Duration waited, absl::Duration unanswered) {
  // What it computes and sends meanwhile is of a view that it is no longer in.
  if (session_->released())
    return After(state_->queue.Between(absl::ZeroDuration(), kMaxGoodbye), [this] { Die(); });
  if (unanswered > kReleasePatience) {
    state_->Fail(absl::StrCat(name(), " leaves, but the scheduler, which it can reach, does not release it"));
  }
  if (waited > kLeavePatience) return Die();
  After(kPoll, [this, waited, unanswered] {
    AwaitRelease(waited + kPoll, IsSchedulerReachable() ? unanswered + kPoll : absl::ZeroDuration());
  });
}

bool NodeProcess::IsSchedulerReachable() const {
  const Process* const scheduler = network_->Find(kScheduler);
  return scheduler != nullptr && scheduler->Thaw("") <= state_->queue.now() &&
         !network_->IsCut(this, scheduler) && !network_->IsCut(scheduler, this);
}

}  // namespace shoal::simulation
