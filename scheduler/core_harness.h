// A scheduler with its store, driven by hand, for tests of the core.
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "catch2/catch.hpp"
#include "common/base/release.h"
#include "scheduler/scheduler_core.h"
#include "scheduler/test_job.h"

namespace shoal::scheduler {

// Sorts actions into what tests look at.
class Harness {
 public:
  explicit Harness(SchedulerOptions options = SchedulerOptions()) : options_(std::move(options)) {
    Restart();
  }

  // Restarts as after a crash: what was not persisted is lost.
  void Restart() {
    core_.emplace(options_);
    std::vector<StoredRecord> records;
    for (const auto& [key, value] : store_) records.push_back({key.first, key.second, value});
    REQUIRE(core_->Load(now_, records).ok());
    Take();
  }

  uint64_t Join(NodeRole role, const std::string& name) {
    JoinRequest request;
    request.set_protocol_version(kProtocolVersion);
    request.set_role(role);
    request.set_name(name);
    request.set_address(name + ":1");
    const auto joined = core_->Join(now_, request);
    REQUIRE(joined.ok());
    joins_[joined->node_id()] = request;
    joins_[joined->node_id()].set_cluster_id(joined->cluster_id());
    REQUIRE(Open(joined->node_id()).ok());
    return joined->node_id();
  }
  absl::Status Open(uint64_t node) {
    Hello hello;
    hello.set_node_id(node);
    *hello.mutable_join() = joins_[node];
    const absl::Status status = core_->SessionOpened(now_, NodeId(node), hello);
    Take();
    return status;
  }
  // Reports for the current training if the report names none.
  absl::Status Report(uint64_t node, NodeReport report) {
    if (report.training_id() == 0 && !core_->ListJobs().empty())
      report.set_training_id(CurrentView().training_id());
    const absl::Status status = core_->Report(now_, NodeId(node), report);
    Take();
    return status;
  }
  void Break(uint64_t node) {
    core_->SessionBroken(now_, NodeId(node));
    Take();
  }
  // The scheduler is suspended: time passes and nothing is called.
  void Sleep(absl::Duration time) { now_ += time; }
  // Time passes while the `alive` nodes send heartbeats: one each 500 ms in a long time, 100 ms in a short
  // one.
  void Pass(absl::Duration time, const std::vector<uint64_t>& alive) {
    Pass(time, alive, absl::Milliseconds(time > absl::Seconds(30) ? 500 : 100));
  }
  // The same, with a heartbeat each `step`.
  void Pass(absl::Duration time, const std::vector<uint64_t>& alive, absl::Duration step) {
    const absl::Time end = now_ + time;
    while (now_ < end) {
      now_ += step;
      NodeReport heartbeat;
      heartbeat.mutable_heartbeat();
      for (uint64_t node : alive) (void)Report(node, heartbeat);
      core_->Tick(now_);
      Take();
    }
  }

  static SubmitJobRequest Request(const JobSpec& spec = Spec(), const std::string& id = "id") {
    SubmitJobRequest request;
    request.set_request_id(id);
    *request.mutable_spec() = spec;
    request.set_checkpoint_dir("checkpoints-of-" + id);
    return request;
  }
  JobId Submit(const JobSpec& spec = Spec(), const std::string& id = "id",
               const std::optional<ResumePoint>& resume = std::nullopt) {
    const SubmitJobRequest request = Request(spec, id);
    const auto job = core_->Submit(now_, request, resume);
    REQUIRE(job.ok());
    Take();
    return *job;
  }
  void Leave(uint64_t node) {
    NodeReport report;
    report.mutable_leaving();
    REQUIRE(Report(node, report).ok());
  }
  void Prepared(uint64_t node, bool derived = false, const JobPlan& plan = Plan()) {
    NodeReport report;
    report.mutable_job_prepared()->set_job(1);
    if (derived) *report.mutable_job_prepared()->mutable_plan() = plan;
    REQUIRE(Report(node, report).ok());
  }
  void Refused(uint64_t node, const std::string& reason, bool fatal = false, bool differs = false) {
    NodeReport report;
    report.mutable_job_refused()->set_job(1);
    report.mutable_job_refused()->set_reason(reason);
    report.mutable_job_refused()->set_fatal(fatal);
    report.mutable_job_refused()->set_differs(differs);
    REQUIRE(Report(node, report).ok());
  }
  void Installed(uint64_t node, uint64_t view, const std::string& error = "", bool damaged = false,
                 RestoreTrouble trouble = RESTORE_TROUBLE_NONE) {
    NodeReport report;
    report.mutable_view_installed()->set_job(1);
    report.mutable_view_installed()->set_view(view);
    report.mutable_view_installed()->set_error(error);
    report.mutable_view_installed()->set_trouble(damaged ? RESTORE_TROUBLE_DAMAGED : trouble);
    REQUIRE(Report(node, report).ok());
  }
  void Reached(uint64_t node, uint32_t shard, uint64_t version) {
    NodeReport report;
    ShardProgress& progress = *report.mutable_shard_progress();
    progress.set_job(1);
    progress.set_view(CurrentView().view());
    progress.set_shard(shard);
    progress.set_version(version);
    REQUIRE(Report(node, report).ok());
  }
  // The rounds [from, to) of ten examples each, in one report of shard 0.
  void Rounds(uint64_t node, uint64_t from, uint64_t to, uint64_t view = 0) {
    NodeReport report;
    ShardProgress& progress = *report.mutable_shard_progress();
    progress.set_job(1);
    progress.set_view(view == 0 ? CurrentView().view() : view);
    progress.set_version(to);
    for (uint64_t round = from; round < to; ++round) {
      RoundStats& stats = *progress.add_rounds();
      stats.set_round(round);
      stats.mutable_stats()->set_examples(10);
    }
    REQUIRE(Report(node, report).ok());
  }
  void Written(uint64_t node, uint32_t shard, uint64_t version, const std::string& error = "",
               bool not_finite = false, bool retried = false) {
    NodeReport report;
    ShardWritten& written = *report.mutable_shard_written();
    written.set_job(1);
    written.set_restore_id(CurrentView().restore().restore_id());
    written.set_version(version);
    written.set_shard(shard);
    written.set_file("file");
    written.set_error(error);
    written.set_not_finite(not_finite);
    written.set_retried(retried);
    REQUIRE(Report(node, report).ok());
  }
  void Evaluated(uint64_t node, EvaluationSet set, uint64_t version, uint32_t slot, int right = 1) {
    NodeReport report;
    SlotEvaluated& evaluated = *report.mutable_slot_evaluated();
    evaluated.set_job(1);
    evaluated.set_restore_id(CurrentView().restore().restore_id());
    evaluated.set_version(version);
    evaluated.set_set(set);
    evaluated.set_slot(slot);
    evaluated.mutable_statistics()->set_examples(2);
    evaluated.mutable_statistics()->set_loss(1);
    for (int cell : {right, 0, 2 - right, 0}) evaluated.mutable_statistics()->add_confusion(cell);
    REQUIRE(Report(node, report).ok());
  }
  void EvaluatedAll(uint64_t node, EvaluationSet set, uint64_t version, int right = 1) {
    for (uint32_t slot = 0; slot < kSlots; ++slot) Evaluated(node, set, version, slot, right);
  }

  // A job that runs on these nodes; the first worker has derived its plan.
  void Start(const std::vector<uint64_t>& servers, const std::vector<uint64_t>& workers,
             const JobSpec& spec = Spec()) {
    Submit(spec);
    Prepared(workers[0], /*derived=*/true);
    for (size_t i = 1; i < workers.size(); ++i) Prepared(workers[i]);
    for (uint64_t server : servers) Prepared(server);
    for (uint64_t server : servers) Installed(server, 1);
    REQUIRE(GetJob().state() == JOB_STATE_RUNNING);
  }
  void Start(uint64_t server, uint64_t worker) {
    Start(std::vector<uint64_t>{server}, std::vector<uint64_t>{worker});
  }

  Job GetJob() { return *core_->GetJob(JobId(1)); }
  View CurrentView() { return GetJob().view(); }
  JobStateRecord StoredState() {
    JobStateRecord state;
    REQUIRE(state.ParseFromString(store_.at({kStateTable, RecordKey(1)})));
    return state;
  }
  // The last directive of this kind that a node was sent since Clear().
  const Directive* Last(uint64_t node, Directive::DirectiveCase kind) {
    const Directive* last = nullptr;
    for (const auto& [to, directive] : sent_) {
      if (to == node && directive.directive_case() == kind) last = &directive;
    }
    return last;
  }
  void Clear() { sent_.clear(); }
  SchedulerCore& core() { return *core_; }
  absl::Time now() const { return now_; }
  const std::vector<CommitCheckpointFiles>& commits() const { return commits_; }
  const std::vector<ComputeResult>& results() const { return results_; }
  const std::vector<CheckCheckpointFiles>& checks() const { return checks_; }
  const std::vector<std::string>& messages() const { return messages_; }
  bool Said(const std::string& part) const {
    return std::any_of(messages_.begin(), messages_.end(),
                       [&](const std::string& message) { return message.find(part) != std::string::npos; });
  }
  const std::vector<MetricRecord>& metrics() const { return metrics_; }
  // Committed versions that were deleted.
  const std::vector<uint64_t>& deleted() const { return deleted_; }
  // Versions whose parts were deleted, and the restore points that these were written from.
  using Parts = std::vector<std::pair<uint64_t, uint64_t>>;
  const Parts& deleted_parts() const { return deleted_parts_; }
  size_t StateBytes() const {
    size_t bytes = 0;
    for (const auto& [key, value] : store_) bytes += key.first == kStateTable ? value.size() : 0;
    return bytes;
  }
  const std::set<std::string>& kept_artifacts() const { return kept_artifacts_; }
  const std::vector<std::string>& cleared_folders() const { return cleared_folders_; }
  const std::vector<uint64_t>& ended_sessions() const { return ended_sessions_; }

  void CommitLast(const absl::StatusOr<std::string>& checkpoint = std::string("dir")) {
    Commit(commits_.size() - 1, checkpoint);
  }
  // The answer to commits()[index].
  void Commit(size_t index, const absl::StatusOr<std::string>& checkpoint = std::string("dir")) {
    const CommitCheckpointFiles commit = commits_.at(index);
    core_->CheckpointCommitted(now_, commit, checkpoint);
    Take();
  }
  // The answer to the last check of a checkpoint.
  void Checked(const absl::Status& health) {
    const CheckCheckpointFiles check = checks_.back();
    core_->CheckpointChecked(now_, check.job, check.version, health);
    Take();
  }
  void Computed(const absl::StatusOr<std::string>& sha256) {
    const ComputeResult compute = results_.back();
    core_->ResultComputed(now_, compute.job, compute.version, sha256);
    Take();
  }
  void Take() {
    for (Action& action : core_->TakeActions()) {
      if (auto* persist = std::get_if<Persist>(&action)) {
        store_[{persist->record.table, persist->record.key}] = persist->record.value;
      } else if (auto* erase = std::get_if<Erase>(&action)) {
        store_.erase({erase->table, erase->key});
      } else if (auto* send = std::get_if<SendDirective>(&action)) {
        sent_.emplace_back(send->node.value(), send->directive);
      } else if (auto* commit = std::get_if<CommitCheckpointFiles>(&action)) {
        commits_.push_back(*commit);
      } else if (auto* compute = std::get_if<ComputeResult>(&action)) {
        results_.push_back(*compute);
      } else if (auto* check = std::get_if<CheckCheckpointFiles>(&action)) {
        checks_.push_back(*check);
      } else if (auto* publish = std::get_if<PublishEvent>(&action)) {
        if (publish->event.has_metric()) metrics_.push_back(publish->event.metric());
        if (!publish->event.message().empty()) messages_.push_back(publish->event.message());
      } else if (auto* remove = std::get_if<DeleteCheckpointFiles>(&action)) {
        deleted_.push_back(remove->version.value());
      } else if (auto* parts = std::get_if<DeletePartsOfVersion>(&action)) {
        deleted_parts_.emplace_back(parts->version.value(), parts->restore_id.value());
      } else if (auto* leftovers = std::get_if<DeletePartialFiles>(&action)) {
        if (!leftovers->before_restore) cleared_folders_.push_back(leftovers->folder);
      } else if (auto* keep = std::get_if<KeepArtifacts>(&action)) {
        kept_artifacts_ = keep->sha256;
      } else if (auto* end = std::get_if<EndSession>(&action)) {
        ended_sessions_.push_back(end->node.value());
      }
    }
  }

 private:
  const SchedulerOptions options_;
  std::map<uint64_t, JoinRequest> joins_;
  absl::Time now_ = absl::UnixEpoch() + absl::Hours(1);
  std::map<std::pair<std::string, std::string>, std::string> store_;
  std::optional<SchedulerCore> core_;
  std::vector<std::pair<uint64_t, Directive>> sent_;
  std::vector<CommitCheckpointFiles> commits_;
  std::vector<ComputeResult> results_;
  std::vector<CheckCheckpointFiles> checks_;
  std::vector<std::string> messages_;
  std::vector<MetricRecord> metrics_;
  std::vector<uint64_t> deleted_;
  Parts deleted_parts_;
  std::vector<std::string> cleared_folders_;
  std::set<std::string> kept_artifacts_;
  std::vector<uint64_t> ended_sessions_;
};

inline const absl::Status kDamaged = absl::DataLossError("theta.0 is damaged; it is now version-N.damaged");
inline constexpr char kNotThere[] = "the storage of the checkpoints is not there: /mnt/x is empty: mount it";

// A job without evaluation while training. Returns its server.
inline uint64_t StartPlain(Harness* h, uint64_t* worker) {
  const uint64_t server = h->Join(NODE_ROLE_SERVER, "s");
  *worker = h->Join(NODE_ROLE_WORKER, "w");
  h->Submit(PlainSpec());
  h->Prepared(*worker, /*derived=*/true);
  h->Prepared(server);
  h->Installed(server, 1);
  return server;
}

// ---- heartbeats ----

inline NodeReport Beat(ActivityKind kind, double idle) {
  NodeReport report;
  Activity& activity = *report.mutable_heartbeat()->add_activities();
  activity.set_kind(kind);
  activity.set_job(1);
  activity.set_idle_seconds(idle);
  return report;
}

inline NodeReport CantReach(uint64_t peer) {
  NodeReport report;
  UnreachablePeer& unreachable = *report.mutable_heartbeat()->add_unreachable();
  unreachable.mutable_peer()->set_node_id(peer);
  unreachable.set_seconds(5);
  unreachable.set_error("connection refused");
  return report;
}

// With the third heartbeat the node is past every deadline.
inline void Hang(Harness* h, uint64_t node, ActivityKind kind) {
  for (double idle : {0.1, 1000.0, 1001.0}) REQUIRE(h->Report(node, Beat(kind, idle)).ok());
}

// Like Pass, but the nodes in `heartbeats` send those instead.
inline void PassWith(Harness* h, absl::Duration time, const std::vector<uint64_t>& alive,
                     const std::map<uint64_t, NodeReport>& heartbeats) {
  for (absl::Duration passed; passed < time; passed += absl::Milliseconds(100)) {
    for (const auto& [node, report] : heartbeats) REQUIRE(h->Report(node, report).ok());
    h->Pass(absl::Milliseconds(100), alive);
  }
}

}  // namespace shoal::scheduler
