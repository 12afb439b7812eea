// The scheduler's core: nodes that join, answer and fail, jobs that are submitted and cancelled, files that
// are committed or not, and a scheduler that is killed and reads its store again; with correct and changed
// messages. Asserted: an error changes no job, an ended job stays unchanged, views give every slot to exactly
// one worker and every shard to a different server, targets and versions stay within the training, a request
// id always gives the same job, and the store alone yields the same jobs.
#include "scheduler/scheduler_core.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/release.h"
#include "common/base/status.h"
#include "common/job/job_spec.h"
#include "common/job/test_job.h"
#include "common/protocol/job_states.h"
#include "tests/fuzz/byte_source.h"
#include "tests/fuzz/message_mutator.h"

namespace shoal::scheduler {
namespace {

constexpr uint32_t kSlots = 3;
constexpr uint64_t kRounds = 6;
constexpr int kMaxEvents = 250;
constexpr size_t kMaxNodes = 6;
constexpr size_t kMaxJobs = 4;

JobSpec Spec() {
  JobSpec spec = TestSpec(kRounds, kSlots);
  spec.mutable_evaluation()->mutable_every()->set_rounds(2);
  spec.mutable_checkpoint()->mutable_every()->set_rounds(2);
  return spec;
}

JobPlan Plan() {
  JobPlan plan;
  plan.add_parameters()->add_shape(150);
  plan.add_group_sizes(100);
  plan.add_group_sizes(50);
  plan.set_rounds(kRounds);
  plan.set_rounds_per_epoch(3);
  plan.add_labels("a");
  plan.add_labels("b");
  plan.set_train_examples(100);
  plan.set_validation_examples(10);
  plan.set_test_examples(10);
  return plan;
}

EvaluationStatistics Statistics(uint32_t right) {
  EvaluationStatistics statistics;
  statistics.set_examples(2);
  statistics.set_loss(1);
  for (uint32_t cell : {right, 0u, 2 - right, 0u}) statistics.add_confusion(cell);
  return statistics;
}

// A node as the scheduler knows it: what it was told last.
struct Node {
  uint64_t id = 0;
  NodeRole role = NODE_ROLE_WORKER;
  std::string name;
  PrepareJob prepare;
  View view;
  Target target;
};

class Session {
 public:
  explicit Session(ByteSource* source) : source_(source) { Restart(); }

  void Play() {
    for (int events = 0; events < kMaxEvents && !source_->done(); ++events) {
      Event();
      Take();
      CheckJobs();
    }
    Restart();
    CheckJobs();
  }

 private:
  void Event() {
    switch (source_->Below(20)) {
      case 0:
        return Join();
      case 1:
        return Open();
      case 2:
        return Break();
      case 3:
      case 4:
        return Pass();
      case 5:
        return Submit();
      case 6:
        return Cancel();
      case 7:
      case 8:
      case 9:
      case 10:
        return Work(/*changed=*/false);
      case 11:
      case 12:
        return Work(/*changed=*/true);
      case 13:
        return AnyReport();
      case 14:
        return Commit();
      case 15:
        return Result();
      case 16:
        return Restart();
      default:
        return GetOn();
    }
  }

  // ---- users ----
  void Submit() {
    if (jobs_.size() >= kMaxJobs) return;
    SubmitJobRequest request;
    request.set_request_id(absl::StrCat("id-", source_->Below(4)));
    *request.mutable_spec() = Spec();
    request.set_checkpoint_dir("checkpoints-of-" + request.request_id());
    std::optional<ResumePoint> resume;
    if (source_->Below(8) == 0) {
      resume.emplace();
      resume->version = Version(source_->Below(kRounds + 2));
      resume->directory = "resumed";
    }
    MutateMessage(source_, &request);
    const std::string before = AllJobs();
    const auto job = core_->Submit(now_, request, resume);
    if (!job.ok()) return CheckUnchanged(before);
    if (request.request_id().empty()) return;
    const auto [known, is_new] = requests_.emplace(request.request_id(), job->value());
    SHOAL_CHECK(known->second == job->value());
  }
  void Cancel() {
    const JobId job(source_->Below(8) == 0 ? source_->Number() : 1 + source_->Below(kMaxJobs));
    const std::string before = AllJobs();
    const absl::Status status = core_->Cancel(now_, job);
    SHOAL_CHECK(status.ok() == core_->GetJob(job).ok());
    if (!status.ok()) CheckUnchanged(before);
  }

  // ---- nodes ----
  void Join() {
    if (nodes_.size() >= kMaxNodes) return;
    JoinRequest request;
    request.set_protocol_version(kProtocolVersion);
    request.set_role(source_->Flip() ? NODE_ROLE_SERVER : NODE_ROLE_WORKER);
    request.set_name(absl::StrCat("node-", source_->Below(8)));
    request.set_address("a:1");
    request.set_incarnation(++incarnations_);
    MutateMessage(source_, &request);
    const std::string before = AllJobs();
    const auto joined = core_->Join(now_, request);
    if (!joined.ok()) return CheckUnchanged(before);
    Forget(joined->node_id(), request);
    Node node;
    node.id = joined->node_id();
    node.role = request.role();
    node.name = joined->name();
    join_[node.id] = request;
    join_[node.id].set_cluster_id(joined->cluster_id());
    nodes_.push_back(node);
    Take();
    Say(node.id);
  }
  // Only a process that joins again may get an id that was assigned before.
  void Forget(uint64_t id, const JoinRequest& request) {
    const auto known = join_.find(id);
    if (known == join_.end()) return;
    SHOAL_CHECK(known->second.incarnation() == request.incarnation());
    Remove(id);
  }
  void Remove(uint64_t id) {
    nodes_.erase(
        std::remove_if(nodes_.begin(), nodes_.end(), [&](const Node& node) { return node.id == id; }),
        nodes_.end());
  }
  void Say(uint64_t node) {
    Hello hello;
    hello.set_node_id(node);
    *hello.mutable_join() = join_[node];
    if (source_->Below(8) == 0) MutateField(source_, &hello);
    (void)core_->SessionOpened(now_, NodeId(node), hello);
  }
  Node* ANode() {
    return nodes_.empty() ? nullptr : &nodes_[source_->Below(static_cast<uint32_t>(nodes_.size()))];
  }
  void Open() {
    if (const Node* const node = ANode()) Say(node->id);
  }
  void Break() {
    if (const Node* const node = ANode()) core_->SessionBroken(now_, NodeId(node->id));
  }
  // Time passes; most nodes send heartbeats.
  void Pass() {
    const uint32_t silent = source_->Byte();
    for (uint32_t steps = 1 + source_->Below(12); steps > 0; --steps) {
      now_ += absl::Milliseconds(100 * (1 + source_->Below(4)));
      NodeReport heartbeat;
      heartbeat.mutable_heartbeat();
      for (size_t i = 0; i < nodes_.size(); ++i) {
        if ((silent >> i & 1) == 0) (void)core_->Report(now_, NodeId(nodes_[i].id), heartbeat);
      }
      core_->Tick(now_);
      Take();
    }
  }

  // ---- what nodes report ----
  void Report(uint64_t node, const NodeReport& report) {
    const std::string before = AllJobs();
    const absl::Status status = core_->Report(now_, NodeId(node), report);
    if (!status.ok()) CheckUnchanged(before);
    Take();
  }
  // One report that a correct node may send now, possibly changed.
  void Work(bool changed) {
    const Node* const node = ANode();
    if (node == nullptr) return;
    std::vector<NodeReport> reports = ReportsOf(*node);
    if (reports.empty()) return;
    NodeReport report = reports[source_->Below(static_cast<uint32_t>(std::min<size_t>(reports.size(), 255)))];
    if (changed) MutateField(source_, &report);
    Report(node->id, report);
  }
  void AnyReport() {
    const Node* const node = ANode();
    NodeReport report;
    for (uint32_t changes = 1 + source_->Below(6); changes > 0; --changes) MutateField(source_, &report);
    Report(node == nullptr || source_->Below(8) == 0 ? source_->Number() : node->id, report);
  }
  // Everything that a correct node could report, given what it was told.
  std::vector<NodeReport> ReportsOf(const Node& node) const {
    std::vector<NodeReport> reports;
    if (node.prepare.job() != 0) {
      JobPrepared& prepared = *reports.emplace_back().mutable_job_prepared();
      prepared.set_job(node.prepare.job());
      if (node.prepare.derive()) *prepared.mutable_plan() = Plan();
    }
    if (node.view.view() == 0) return reports;
    if (node.role == NODE_ROLE_WORKER) {
      AddEvaluations(node, &reports);
    } else {
      AddShardReports(node, &reports);
    }
    for (NodeReport& report : reports) report.set_training_id(node.view.training_id());
    return reports;
  }
  void AddEvaluations(const Node& node, std::vector<NodeReport>* reports) const {
    if (node.target.evaluate() == EVALUATION_SET_NONE) return;
    for (uint32_t slot = 0; slot < kSlots; ++slot) {
      SlotEvaluated& evaluated = *reports->emplace_back().mutable_slot_evaluated();
      evaluated.set_job(node.target.job());
      evaluated.set_restore_id(node.target.restore_id());
      evaluated.set_version(node.target.version());
      evaluated.set_set(node.target.evaluate());
      evaluated.set_slot(slot);
      *evaluated.mutable_statistics() = Statistics(static_cast<uint32_t>(node.target.version()) % 3);
    }
  }
  void AddShardReports(const Node& node, std::vector<NodeReport>* reports) const {
    ViewInstalled& installed = *reports->emplace_back().mutable_view_installed();
    installed.set_job(node.view.job());
    installed.set_view(node.view.view());
    for (int shard = 0; shard < node.view.shards_size(); ++shard) {
      if (node.view.shards(shard).primary().node_id() != node.id) continue;
      const auto job = core_->GetJob(JobId(node.view.job()));
      const uint64_t next = job.ok() ? std::min(job->version() + 1, kRounds) : kRounds;
      ShardProgress& progress = *reports->emplace_back().mutable_shard_progress();
      progress.set_job(node.view.job());
      progress.set_view(node.view.view());
      progress.set_shard(shard);
      progress.set_version(next);
      if (shard == 0) {
        RoundStats& round = *progress.add_rounds();
        round.set_round(next - 1);
        round.mutable_stats()->set_examples(10);
        round.mutable_stats()->set_weight(10);
      }
      ShardWritten& written = *reports->emplace_back().mutable_shard_written();
      written.set_job(node.view.job());
      written.set_restore_id(node.view.restore().restore_id());
      written.set_version((next + 1) / 2 * 2);
      written.set_shard(shard);
      written.set_file(absl::StrCat("shard-", shard));
    }
  }
  // Every node does what it was told, and files are written, so that sequences make progress.
  void GetOn() {
    now_ += absl::Milliseconds(100);
    const std::vector<Node> nodes = nodes_;
    for (const Node& node : nodes) {
      for (const NodeReport& report : ReportsOf(node)) Report(node.id, report);
    }
    for (int i = 0; i < 4 && !commits_.empty(); ++i) Commit();
    core_->Tick(now_);
    Take();
    if (result_) Result();
  }

  // ---- files ----
  void Commit() {
    if (commits_.empty()) return;
    const CommitCheckpointFiles commit = commits_.front();
    commits_.erase(commits_.begin());
    if (source_->Below(8) == 7) {
      core_->CheckpointCommitted(now_, commit, absl::ResourceExhaustedError("disk"));
    } else {
      core_->CheckpointCommitted(now_, commit, absl::StatusOr<std::string>("dir"));
    }
    Take();
  }
  void Result() {
    if (!result_) return;
    const ComputeResult compute = *result_;
    result_.reset();
    if (source_->Below(8) == 7) {
      core_->ResultComputed(now_, compute.job, compute.version, absl::DataLossError("disk"));
    } else {
      core_->ResultComputed(now_, compute.job, compute.version, absl::StatusOr<std::string>("digest"));
    }
    Take();
  }

  // As after a crash: everything that was not stored is gone.
  void Restart() {
    std::map<uint64_t, JobState> states;
    if (core_) {
      for (const Job& job : core_->ListJobs()) states[job.job()] = job.state();
    }
    core_.emplace(SchedulerOptions());
    std::vector<StoredRecord> records;
    for (const auto& [key, value] : store_) {
      if (key.first != kEventTable) records.push_back({key.first, key.second, value});
    }
    SHOAL_CHECK_OK(core_->Load(now_, records));
    commits_.clear();
    result_.reset();
    for (Node& node : nodes_) node.view.Clear(), node.target.Clear(), node.prepare.Clear();
    Take();
    const std::vector<Job> jobs = core_->ListJobs();
    SHOAL_CHECK(jobs.size() == states.size());
    for (const Job& job : jobs) {
      SHOAL_CHECK(states.count(job.job()) == 1);
      if (IsEnded(states[job.job()])) SHOAL_CHECK(job.state() == states[job.job()]);
    }
  }

  void Take() {
    for (Action& action : core_->TakeActions()) {
      if (auto* persist = std::get_if<Persist>(&action)) {
        store_[{persist->record.table, persist->record.key}] = persist->record.value;
      } else if (auto* erase = std::get_if<Erase>(&action)) {
        store_.erase({erase->table, erase->key});
      } else if (auto* send = std::get_if<SendDirective>(&action)) {
        OnDirective(send->node.value(), send->directive);
      } else if (auto* commit = std::get_if<CommitCheckpointFiles>(&action)) {
        commits_.push_back(*commit);
      } else if (auto* compute = std::get_if<ComputeResult>(&action)) {
        result_ = *compute;
      } else if (auto* end = std::get_if<EndSession>(&action)) {
        Remove(end->node.value());
      }
    }
  }
  void OnDirective(uint64_t id, const Directive& directive) {
    for (Node& node : nodes_) {
      if (node.id != id) continue;
      if (directive.has_prepare_job()) node.prepare = directive.prepare_job();
      if (directive.has_target()) node.target = directive.target();
      if (directive.has_view()) {
        CheckView(directive.view());
        node.view = directive.view();
        node.target = directive.view().target();
      }
    }
  }

  // ---- what must hold ----
  void CheckView(const View& view) const {
    const auto job = core_->GetJob(JobId(view.job()));
    SHOAL_CHECK_OK(job);
    uint32_t next = 0;
    for (const SlotAssignment& slots : view.slots()) {
      SHOAL_CHECK(slots.slot_begin() == next && slots.slot_end() > next);
      next = slots.slot_end();
    }
    SHOAL_CHECK(next == job->spec().train().slots());
    std::set<uint64_t> primaries;
    for (const ShardAssignment& shard : view.shards())
      SHOAL_CHECK(primaries.insert(shard.primary().node_id()).second);
    SHOAL_CHECK(!primaries.empty());
    SHOAL_CHECK(view.target().version() <= job->plan().rounds());
    SHOAL_CHECK(view.restore().version() <= job->plan().rounds());
  }
  void CheckJobs() {
    (void)core_->GetStatus(now_);
    for (const Job& job : core_->ListJobs()) {
      SHOAL_CHECK(job.version() <= std::max(job.rounds(), kRounds + 1));
      const auto known = jobs_.find(job.job());
      if (known != jobs_.end() && IsEnded(known->second)) SHOAL_CHECK(job.state() == known->second);
      if (job.state() == JOB_STATE_COMPLETED) SHOAL_CHECK(!job.result().parameters_sha256().empty());
      jobs_[job.job()] = job.state();
    }
  }
  std::string AllJobs() const {
    std::string text;
    for (const Job& job : core_->ListJobs()) text += job.SerializeAsString();
    return text;
  }
  void CheckUnchanged(const std::string& before) const { SHOAL_CHECK(AllJobs() == before); }

  ByteSource* const source_;
  absl::Time now_ = absl::UnixEpoch() + absl::Hours(1);
  std::map<std::pair<std::string, std::string>, std::string> store_;
  std::optional<SchedulerCore> core_;
  std::vector<Node> nodes_;
  std::map<uint64_t, JoinRequest> join_;  // by node
  uint64_t incarnations_ = 0;
  std::vector<CommitCheckpointFiles> commits_;
  std::optional<ComputeResult> result_;
  std::map<std::string, uint64_t> requests_;
  std::map<uint64_t, JobState> jobs_;
};

}  // namespace
}  // namespace shoal::scheduler

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  shoal::ByteSource source(data, size);
  shoal::scheduler::Session(&source).Play();
  return 0;
}
