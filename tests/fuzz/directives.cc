// What a scheduler sends to its nodes: a sequence of correct and changed directives, new sessions and lost
// leases, for a server and a worker; meanwhile workers and servers call the server under any job, training
// and view. Asserted: no node aborts, each directive is answered by a bounded number of reports, calls are
// answered only for the view that is served, a stream of contributions stays with its first view, and
// afterwards the nodes still accept a correct job.
#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/base/fake_executor.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/job/job_spec.h"
#include "common/job/test_job.h"
#include "common/protocol/block_checksum.h"
#include "common/protocol/blocks.h"
#include "common/protocol/payload.h"
#include "common/protocol/view_key.h"
#include "proto/parameter.pb.h"
#include "proto/scheduler.pb.h"
#include "server/push_binding.h"
#include "server/server_jobs.h"
#include "server/worker_streams.h"
#include "tests/fuzz/byte_source.h"
#include "tests/fuzz/memory_files.h"
#include "tests/fuzz/message_mutator.h"
#include "worker/worker_core.h"
#include "worker/worker_jobs.h"

namespace shoal {
namespace {

constexpr uint64_t kServer = 7, kWorker = 8;
constexpr uint64_t kElements = 32, kBlockElements = 16;
constexpr uint32_t kSlots = 4;
constexpr size_t kMaxStreams = 4;
constexpr int kMaxEvents = 60;
constexpr size_t kMaxReports = 8;  // to one directive, with what is due in the second after it

PrepareJob Preparation(uint64_t job) {
  PrepareJob request;
  request.set_job(job);
  *request.mutable_spec() = TestSpec(8, kSlots);
  CompleteJob(request.mutable_spec());
  JobPlan& plan = *request.mutable_plan();
  ParameterInfo& parameter = *plan.add_parameters();
  parameter.set_name("weight");
  parameter.add_shape(kElements);
  parameter.mutable_init()->set_kind(Initializer::NORMAL);
  parameter.mutable_init()->set_stddev(0.1f);
  plan.add_group_sizes(kElements);
  plan.set_rounds(8);
  plan.set_rounds_per_epoch(4);
  request.set_checkpoint_dir("checkpoints");
  return request;
}

View MakeView(uint64_t job, uint64_t training, uint64_t number, uint64_t restore_id) {
  View view;
  view.set_job(job);
  view.set_training_id(training);
  view.set_view(number);
  view.mutable_restore()->set_restore_id(restore_id);
  view.add_shards()->mutable_primary()->set_node_id(kServer);
  SlotAssignment& slots = *view.add_slots();
  slots.mutable_worker()->set_node_id(kWorker);
  slots.set_slot_end(kSlots);
  view.mutable_target()->set_job(job);
  view.mutable_target()->set_restore_id(restore_id);
  view.mutable_target()->set_version(8);
  return view;
}

class NoPeers : public server::PeerLink {
 public:
  void GetNorms(const std::string&, const NormsRequest&, absl::Duration, NormsDone done) override {
    done(absl::UnavailableError("no peer here"));
  }
};

class NoArtifacts : public ArtifactSource {
 public:
  absl::StatusOr<std::string> Fetch(const Artifact&, const Progress&) override {
    return absl::NotFoundError("no artifact");
  }
  absl::StatusOr<Artifact> Put(const std::string&, const std::string&, const Progress&) override {
    return absl::UnavailableError("no scheduler");
  }
};

class NoProgram : public worker::Program {
 public:
  absl::Status RunSlot(const worker::SlotTask&) override { return absl::InternalError("not run"); }
  absl::StatusOr<EvaluationStatistics> EvaluateSlot(const worker::EvaluationTask&) override {
    return absl::InternalError("not run");
  }
};

class Builder : public worker::ProgramBuilder {
 public:
  absl::StatusOr<worker::DerivedJob> Derive(const JobSpec&, const Progress&) override {
    worker::DerivedJob derived;
    derived.plan = Preparation(1).plan();
    return derived;
  }
  absl::StatusOr<std::unique_ptr<worker::Program>> Build(const JobSpec&, const JobPlan&,
                                                         const std::map<std::string, std::string>&,
                                                         const Progress&) override {
    return std::make_unique<NoProgram>();
  }
};

// Makes the decisions of a worker's job, without computing anything.
class Runner : public worker::JobRunner {
 public:
  explicit Runner(const worker::WorkerRounds::Options& options)
      : core_({options.job, options.self, options.slots,
               static_cast<uint32_t>(CutBlocks(options.group_sizes, options.max_block_elements).size())}) {}
  void OnView(const View& view) override {
    core_.OnView(view);
    core_.TakeActions();
  }
  void OnTarget(const Target& target) override {
    core_.OnTarget(target);
    core_.TakeActions();
  }
  void OnSessionOpened() override { core_.OnSessionOpened(); }
  std::string Cancel() override { return ""; }
  void AddTo(Heartbeat*) const override {}

 private:
  worker::WorkerCore core_;
};

// A worker's Push, as the server's service keeps it.
struct PushStream : public server::WorkerStream {
  ViewKey view() const override { return binding.view(); }
  void End(const absl::Status&) override {}
  server::PushBinding binding;
};

class Nodes {
 public:
  explicit Nodes(ByteSource* source) : source_(source) {
    server::ServerJobs::Options server;
    server.env = &files_;
    server.executors = time_.factory();
    server.peers = &peers_;
    server.report = [this](NodeReport report) { reports_.push_back(std::move(report)); };
    server.fetch = [](const Artifact&, const Progress&) { return absl::NotFoundError("no artifact"); };
    server.max_block_elements = kBlockElements;
    server_ = std::make_unique<server::ServerJobs>(std::move(server));
    worker::WorkerJobs::Options jobs;
    jobs.place = "here";
    jobs.builder = &builder_;
    jobs.artifacts = &artifacts_;
    jobs.report = [this](NodeReport report) { reports_.push_back(std::move(report)); };
    jobs.make_runner = [](worker::WorkerRounds::Options rounds, std::unique_ptr<worker::Program>) {
      return std::make_unique<Runner>(rounds);
    };
    jobs.max_block_elements = kBlockElements;
    jobs.executors = time_.factory();
    jobs.on_stuck = [](const absl::Status&) { SHOAL_CHECK(false); };
    worker_ = std::make_unique<worker::WorkerJobs>(std::move(jobs));
    Join();
  }
  ~Nodes() {
    for (const auto& stream : streams_) stream->binding.Release(stream);
    worker_->Stop([] {});
    time_.RunFor(absl::Seconds(1));
  }

  void Play() {
    for (int events = 0; events < kMaxEvents && !source_->done(); ++events) {
      reports_.clear();
      Event();
      time_.RunFor(source_->Flip() ? absl::Milliseconds(1) : absl::Seconds(1));
      SHOAL_CHECK(reports_.size() <= 2 * kMaxReports);
      (void)server_->MakeHeartbeat();
      (void)worker_->MakeHeartbeat();
    }
  }

  // The nodes accept a correct job that is new to them.
  void TakeOn() {
    time_.RunFor(absl::Minutes(1));
    constexpr uint64_t kJob = 1'000'003;
    Directive directive;
    *directive.mutable_prepare_job() = Preparation(kJob);
    Give(directive);
    time_.RunFor(absl::Seconds(1));
    reports_.clear();
    *directive.mutable_view() = MakeView(kJob, 99, 1, 1);
    Give(directive);
    time_.RunFor(absl::Seconds(1));
    SHOAL_CHECK(server_->Find(JobId(kJob)).ok());
    SHOAL_CHECK(std::any_of(reports_.begin(), reports_.end(), [](const NodeReport& report) {
      return report.view_installed().job() == kJob && report.view_installed().error().empty();
    }));
    reports_.clear();
    worker_->OnSessionOpened();
    SHOAL_CHECK(reports_.size() == 1 && reports_[0].job_prepared().job() == kJob);
  }

 private:
  void Join() {
    server_->OnJoined(NodeId(kServer));
    worker_->OnJoined(NodeId(kWorker));
  }
  void Give(const Directive& directive) {
    server_->OnDirective(directive);
    worker_->OnDirective(directive);
  }
  void Event() {
    const uint32_t kind = source_->Below(20);
    if (kind >= 16) return Call(kind - 16);
    if (kind == 0) {
      server_->OnLeaseLost();
      worker_->OnLeaseLost();
      return Join();
    }
    if (kind == 1) {
      server_->OnSessionOpened();
      return worker_->OnSessionOpened();
    }
    Directive directive = MakeDirective(kind);
    MutateMessage(source_, &directive);
    // Numbers that determine how much memory is allocated are checked when a job is submitted; here they only
    // make it slow.
    if (directive.prepare_job().spec().train().slots() > 1000) return;
    Give(directive);
  }
  Directive MakeDirective(uint32_t kind) {
    const uint64_t job = 1 + source_->Below(2);
    Directive directive;
    if (kind < 5) {
      *directive.mutable_prepare_job() = Preparation(job);
      if (kind == 2) {
        directive.mutable_prepare_job()->clear_plan();
        directive.mutable_prepare_job()->set_derive(true);
      }
    } else if (kind < 11) {
      const uint64_t training = 77 + source_->Below(2), view = 1 + source_->Below(6);
      *directive.mutable_view() = MakeView(job, training, view, 1 + source_->Below(3));
    } else if (kind < 13) {
      *directive.mutable_target() = MakeView(job, 77, 1, 1 + source_->Below(3)).target();
      directive.mutable_target()->set_version(source_->Below(10));
    } else if (kind < 15) {
      directive.mutable_close_job()->set_job(job);
    } else {
      directive.mutable_released();
    }
    return directive;
  }

  // ---- what workers and servers ask of the server ----
  void Call(uint32_t kind) {
    if (kind == 0) return Push();
    if (kind == 1)
      return CheckAnswer(Asking<PullRequest>(),
                         [](auto& shard, const auto& request) { return shard.Blocks(KeyOf(request)).ok(); });
    if (kind == 2)
      return CheckAnswer(Asking<VersionsRequest>(), [](auto& shard, const auto& request) {
        return shard.Versions(KeyOf(request)).ok();
      });
    const NormsRequest request = Asking<NormsRequest>();
    const auto job = server_->Find(JobId(request.job()));
    if (job.ok() && (*job)->shard().GetNorms(request).ok()) SHOAL_CHECK(IsServed(KeyOf(request)));
  }
  template <typename Message>
  Message Asking() {
    Message message;
    const ViewKey key = {JobId(1 + source_->Below(2)), TrainingId(77 + source_->Below(2)),
                         ViewId(1 + source_->Below(6))};
    SetKey(key, &message);
    MutateMessage(source_, &message);
    return message;
  }
  bool IsServed(const ViewKey& key) const {
    const auto job = server_->Find(key.job);
    return job.ok() && key.view != ViewId(0) && (*job)->shard().serving() == key;
  }
  // `answers`: whether the shard answers the request.
  template <typename Message, typename Answers>
  void CheckAnswer(const Message& request, const Answers& answers) {
    const auto job = server_->Find(JobId(request.job()));
    if (job.ok()) SHOAL_CHECK(answers((*job)->shard(), request) == IsServed(KeyOf(request)));
  }
  std::shared_ptr<PushStream> AStream() {
    if (streams_.size() < kMaxStreams && source_->Flip()) streams_.push_back(std::make_shared<PushStream>());
    if (streams_.empty()) return nullptr;
    return streams_[source_->Below(static_cast<uint32_t>(streams_.size()))];
  }
  // As the service does with a contribution that it has parsed.
  void Push() {
    const std::shared_ptr<PushStream> stream = AStream();
    if (stream == nullptr) return;
    auto header = Asking<ContributionHeader>();
    const Payload payload = Payload::CopyOf(std::vector<uint8_t>(kBlockElements * sizeof(float)));
    if (source_->Flip()) header.set_slot_end(kSlots);
    header.set_crc32c(BlockChecksum(header, payload.Crc32c()));
    const ViewKey bound = stream->view();
    const auto job =
        stream->binding.Bind(KeyOf(header), stream, [this](JobId id) { return server_->Find(id); });
    if (!job.ok()) return;
    SHOAL_CHECK(stream->view() == KeyOf(header) && (bound.view == ViewId(0) || bound == stream->view()));
    if ((*job)->shard().Contribute(header, payload).ok()) SHOAL_CHECK(IsServed(KeyOf(header)));
  }

  ByteSource* const source_;
  FakeTime time_;
  MemoryFiles files_;
  NoPeers peers_;
  NoArtifacts artifacts_;
  Builder builder_;
  std::vector<NodeReport> reports_;
  std::vector<std::shared_ptr<PushStream>> streams_;
  std::unique_ptr<server::ServerJobs> server_;
  std::unique_ptr<worker::WorkerJobs> worker_;
};

}  // namespace
}  // namespace shoal

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  shoal::SilenceLog();
  shoal::ByteSource source(data, size);
  shoal::Nodes nodes(&source);
  nodes.Play();
  nodes.TakeOn();
  return 0;
}
