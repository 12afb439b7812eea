// The calls that the scheduler's service answers, on the daemon without gRPC: jobs that are submitted,
// cancelled, described and watched under any number, nodes that join and open sessions, artifacts that are
// sent, damaged and requested under any digest, and a scheduler that is restarted. Asserted: every answer can
// be parsed; a call for a job succeeds exactly if there is such a job, and describes it; a refused request
// makes no job; a watcher gets every event once, in order, from where it wants to start; a digest never
// becomes a path outside of the folder of artifacts, and only intact bytes are sent.
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/fake_executor.h"
#include "common/base/log.h"
#include "common/base/release.h"
#include "common/base/sha256.h"
#include "common/base/status.h"
#include "common/base/types.h"
#include "common/job/test_job.h"
#include "common/protocol/job_states.h"
#include "common/rpc/artifact_chunks.h"
#include "common/storage/file.h"
#include "proto/scheduler.pb.h"
#include "scheduler/memory_store.h"
#include "scheduler/scheduler_node.h"
#include "scheduler/scheduler_service.h"
#include "tests/fuzz/byte_source.h"
#include "tests/fuzz/message_mutator.h"
#include "tests/fuzz/path_check.h"
#include "tests/simulation/memory_disk.h"

namespace shoal::scheduler {
namespace {

constexpr int kMaxEvents = 100;
constexpr size_t kMaxJobs = 6;
constexpr char kArtifacts[] = "state/artifacts";

// A node's end of a session.
struct Session : SessionStream {
  void Send(const Directive& directive) override {
    Directive read;
    SHOAL_CHECK(read.ParseFromString(directive.SerializeAsString()));
    SHOAL_CHECK(!ended);
    if (directive.has_prepare_job()) prepare = directive.prepare_job();
  }
  void End(const absl::Status&) override { ended = true; }

  NodeId node;
  PrepareJob prepare;  // the newest
  bool ended = false;
};

struct Watcher : JobWatcher {
  void OnHistory() override {}
  void OnProgress(const JobEvent& event) override { SHOAL_CHECK(event.sequence() == 0); }
};

class Play {
 public:
  explicit Play(ByteSource* source) : source_(source) { Start(); }
  ~Play() { node_.reset(); }

  void Run() {
    for (int events = 0; events < kMaxEvents && !source_->done(); ++events) {
      Event();
      time_.Run();
      CheckJobs();
    }
    Restart();
    CheckJobs();
  }

 private:
  void Start() {
    SchedulerNode::Options options;
    options.core.new_cluster_id = "cluster";
    options.core.checkpoint_root = "/checkpoints";
    options.store = std::make_unique<MemoryStore>(&tables_);
    options.artifact_dir = kArtifacts;
    options.env = &env_;
    options.executors = time_.factory();
    auto started = SchedulerNode::Start(std::move(options));
    SHOAL_CHECK_OK(started);
    node_ = *std::move(started);
    service_ = std::make_unique<SchedulerServiceImpl>(node_.get());
  }
  void Restart() {
    node_.reset();
    sessions_.clear();
    Start();
  }

  void Event() {
    switch (source_->Below(14)) {
      case 0:
      case 1:
        return Submit();
      case 2:
        return Cancel();
      case 3:
        return Describe();
      case 4:
      case 5:
        return Watch();
      case 6:
        return Join();
      case 7:
        return Report();
      case 8:
        return Prepare();
      case 9:
        return Upload();
      case 10:
      case 11:
        return Request();
      case 12:
        return Restart();
      default:
        return time_.RunFor(absl::Milliseconds(100 * (1 + source_->Below(20))));
    }
  }

  // As it arrives.
  template <typename Message>
  Message Received(Message message) {
    MutateMessage(source_, &message);
    Message received;
    SHOAL_CHECK(received.ParseFromString(message.SerializeAsString()));
    return received;
  }
  template <typename Message>
  static void CheckParses(const Message& answer) {
    Message read;
    SHOAL_CHECK(read.ParseFromString(answer.SerializeAsString()));
  }

  // ---- users ----
  std::vector<Job> Jobs() {
    ListJobsRequest request;
    ListJobsResponse response;
    SHOAL_CHECK(service_->ListJobs(nullptr, &request, &response).ok());
    CheckParses(response);
    return {response.jobs().begin(), response.jobs().end()};
  }
  bool IsJob(uint64_t number) {
    for (const Job& job : Jobs()) {
      if (job.job() == number) return true;
    }
    return false;
  }
  uint64_t ANumber() { return source_->Below(4) == 0 ? source_->Number() : 1 + source_->Below(kMaxJobs); }

  void Submit() {
    const size_t before = Jobs().size();
    if (before >= kMaxJobs) return;
    SubmitJobRequest request;
    request.set_request_id(absl::StrCat("id-", source_->Below(4)));
    *request.mutable_spec() = TestSpec(6, 3);
    if (source_->Flip()) request.set_checkpoint_dir(absl::StrCat("/own/", source_->Below(3)));
    request = Received(request);
    SubmitJobResponse response;
    const grpc::Status status = service_->SubmitJob(nullptr, &request, &response);
    SHOAL_CHECK(status.ok() == (response.job() != 0));
    if (!status.ok()) SHOAL_CHECK(Jobs().size() == before);
    if (!status.ok() || request.request_id().empty()) return;
    const auto [known, is_new] = requests_.emplace(request.request_id(), response.job());
    SHOAL_CHECK(known->second == response.job());
    SHOAL_CHECK(!is_new || Jobs().size() == before + 1);
  }
  void Cancel() {
    CancelJobRequest request;
    request.set_job(ANumber());
    CancelJobResponse response;
    const bool known = IsJob(request.job());
    SHOAL_CHECK(service_->CancelJob(nullptr, &request, &response).ok() == known);
    if (known) SHOAL_CHECK(IsEnded(node_->GetJob(JobId(request.job()))->state()));
  }
  void Describe() {
    GetJobRequest request;
    request.set_job(ANumber());
    Job response;
    const bool known = IsJob(request.job());
    SHOAL_CHECK(service_->GetJob(nullptr, &request, &response).ok() == known);
    SHOAL_CHECK(response.job() == (known ? request.job() : 0));
    CheckParses(response);
  }

  // All events after `from`, as WatchJob reads them.
  std::vector<JobEvent> EventsAfter(JobId job, uint64_t from) {
    std::vector<JobEvent> events;
    while (true) {
      const auto read = node_->ReadEvents(job, from);
      SHOAL_CHECK_OK(read);
      if (read->last) SHOAL_CHECK(read->events.empty() && IsEnded(node_->GetJob(job)->state()));
      if (read->events.empty()) return events;
      for (const JobEvent& event : read->events) {
        SHOAL_CHECK(event.sequence() > from);
        CheckParses(event);
        from = event.sequence();
        events.push_back(event);
      }
    }
  }
  void Watch() {
    WatchJobRequest request;
    request.set_job(ANumber());
    request.set_after_sequence(source_->Below(8));
    request = Received(request);
    const JobId job(request.job());
    const bool known = IsJob(request.job());
    Watcher watcher;
    const auto from = node_->Watch(job, request.after_sequence(), &watcher);
    SHOAL_CHECK(from.ok() == known);
    SHOAL_CHECK(known || !node_->ReadEvents(job, request.after_sequence()).ok());
    if (!known) return;
    const std::vector<JobEvent> all = EventsAfter(job, 0);
    SHOAL_CHECK(!all.empty() && *from <= request.after_sequence() && *from <= all.back().sequence());
    size_t later = 0;
    for (const JobEvent& event : all) later += event.sequence() > *from;
    SHOAL_CHECK(EventsAfter(job, *from).size() == later);
    time_.RunFor(absl::Seconds(source_->Below(2)));
    node_->Unwatch(job, &watcher);
  }

  // ---- nodes ----
  void Join() {
    JoinRequest request;
    request.set_protocol_version(kProtocolVersion);
    request.set_role(source_->Flip() ? NODE_ROLE_SERVER : NODE_ROLE_WORKER);
    request.set_name(absl::StrCat("node-", source_->Below(4)));
    request.set_address("a:1");
    request.set_incarnation(++incarnations_);
    request = Received(request);
    JoinResponse response;
    if (!service_->Join(nullptr, &request, &response).ok()) return;
    CheckParses(response);
    SHOAL_CHECK(response.node_id() != 0 && !response.name().empty());
    Hello hello;
    hello.set_node_id(response.node_id());
    *hello.mutable_join() = request;
    hello.mutable_join()->set_cluster_id(response.cluster_id());
    Open(Received(hello));
  }
  void Open(const Hello& hello) {
    sessions_.push_back(std::make_unique<Session>());
    sessions_.back()->node = NodeId(hello.node_id());
    if (!node_->OpenSession(hello, sessions_.back().get()).ok()) sessions_.pop_back();
  }
  Session* ASession() {
    if (sessions_.empty()) return nullptr;
    return sessions_[source_->Below(static_cast<uint32_t>(sessions_.size()))].get();
  }
  void Report() {
    Session* const session = ASession();
    if (session == nullptr) return;
    NodeReport report;
    report.mutable_heartbeat();
    (void)node_->Report(session->node, session, Received(report));
    if (source_->Below(8) == 0) node_->SessionOver(session->node, session);
  }
  // A worker derives the plan that it was asked for.
  void Prepare() {
    const Session* const session = ASession();
    if (session == nullptr || session->prepare.job() == 0) return;
    NodeReport report;
    JobPrepared& prepared = *report.mutable_job_prepared();
    prepared.set_job(session->prepare.job());
    if (session->prepare.derive()) {
      JobPlan& plan = *prepared.mutable_plan();
      plan.add_parameters()->add_shape(100);
      plan.add_group_sizes(100);
      plan.set_rounds(6);
      plan.set_rounds_per_epoch(3);
      for (const char* label : {"a", "b"}) plan.add_labels(label);
      plan.set_train_examples(100);
      Artifact& artifact = *plan.add_artifacts();
      artifact.set_name("dataset");
      artifact.set_sha256(Sha256Hex("dataset"));
      artifact.set_bytes(7);
    }
    (void)node_->Report(session->node, session, Received(report));
  }

  // ---- artifacts ----
  void Upload() {
    const std::string content = source_->Flip() ? "dataset" : source_->Bytes(20);
    ArtifactChunks chunks(Sha256Hex(content));
    std::optional<ArtifactChunk> chunk = Received(chunks.Next(content.size(), content));
    const bool right = chunk->sha256() == Sha256Hex(chunk->data()) && chunk->bytes() == chunk->data().size();
    digest_ = chunk->sha256();
    paths_.watching = true;
    const absl::Status status = ReceiveArtifact(&node_->artifacts(), [&](ArtifactChunk* next) {
      if (!chunk) return false;
      *next = *std::exchange(chunk, std::nullopt);
      return true;
    });
    paths_.watching = false;
    SHOAL_CHECK(status.ok() == right);
  }
  void Request() {
    GetArtifactRequest request;
    request.set_sha256(source_->Flip() ? digest_ : Sha256Hex("dataset"));
    request = Received(request);
    const std::string path = JoinPath(kArtifacts, request.sha256());
    std::string* const stored = request.sha256().size() == 64 ? disk_.Bytes(path) : nullptr;
    if (stored != nullptr && !stored->empty() && source_->Below(8) == 0) stored->back() ^= 1;
    const bool there = stored != nullptr && Sha256Hex(*stored) == request.sha256();
    paths_.watching = true;
    std::string sent;
    const absl::Status status =
        node_->SendArtifact(request.sha256(), [&](uint64_t bytes, absl::string_view piece) {
          SHOAL_CHECK(stored != nullptr && bytes == stored->size());
          absl::StrAppend(&sent, piece);
          return true;
        });
    paths_.watching = false;
    SHOAL_CHECK(status.ok() == there);
    if (there) SHOAL_CHECK(Sha256Hex(sent) == request.sha256());
  }

  // ---- what must hold ----
  void CheckJobs() {
    GetStatusRequest request;
    ClusterStatus status;
    SHOAL_CHECK(service_->GetStatus(nullptr, &request, &status).ok());
    CheckParses(status);
    const std::vector<Job> jobs = Jobs();
    SHOAL_CHECK(status.jobs_size() == static_cast<int>(jobs.size()));
    std::map<std::string, uint64_t> folders;
    for (const Job& job : jobs) {
      if (!IsEnded(job.state())) SHOAL_CHECK(folders.emplace(job.checkpoint_dir(), job.job()).second);
      JobState& known = states_[job.job()];
      SHOAL_CHECK(!IsEnded(known) || known == job.state());
      known = job.state();
    }
    SHOAL_CHECK(jobs.size() == states_.size());
  }

  ByteSource* const source_;
  FakeTime time_;
  simulation::MemoryDisk disk_;
  PathCheck paths_{{kArtifacts}, /*watches=*/false};
  simulation::MemoryEnv env_{&disk_, 0, &paths_};
  StoredTables tables_;
  std::vector<std::unique_ptr<Session>> sessions_;  // outlive the node, which ends them
  std::unique_ptr<SchedulerNode> node_;
  std::unique_ptr<SchedulerServiceImpl> service_;
  uint64_t incarnations_ = 0;
  std::string digest_;  // of the last upload
  std::map<std::string, uint64_t> requests_;
  std::map<uint64_t, JobState> states_;  // of all jobs
};

}  // namespace
}  // namespace shoal::scheduler

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  shoal::SilenceLog();
  shoal::ByteSource source(data, size);
  shoal::scheduler::Play(&source).Run();
  return 0;
}
