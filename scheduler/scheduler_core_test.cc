// The failure traces of docs/protocol.md on the scheduler's core, with a clock that tests move.
#include "scheduler/scheduler_core.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "common/job_spec.h"
#include "common/version.h"

namespace shoal::scheduler {
namespace {

constexpr uint32_t kSlots = 4;

JobSpec Spec() {
  JobSpec spec;
  spec.set_name("test");
  spec.set_task(TASK_TEXT_CLASSIFICATION);
  spec.mutable_data()->add_files("data.tsv");
  spec.mutable_data()->add_text("text");
  spec.mutable_data()->set_label("label");
  spec.mutable_train()->set_rounds(20);
  spec.mutable_train()->set_slots(kSlots);
  spec.mutable_optimizer()->set_learning_rate(0.1);
  spec.mutable_evaluation()->mutable_every()->set_rounds(10);
  spec.mutable_checkpoint()->mutable_every()->set_rounds(5);
  CompleteJob(&spec);
  return spec;
}

JobPlan Plan() {
  JobPlan plan;
  plan.add_parameters()->add_shape(200000);
  plan.add_group_sizes(100000);
  plan.add_group_sizes(100000);
  plan.set_rounds(20);
  plan.set_rounds_per_epoch(10);
  plan.add_labels("a");
  plan.add_labels("b");
  plan.set_train_examples(100);
  plan.set_validation_examples(10);
  plan.set_test_examples(10);
  return plan;
}

// A scheduler with its store, driven by hand: actions are sorted into what the test looks at.
class Harness {
 public:
  Harness() { Restart(); }

  // As after a crash: what was not persisted is gone.
  void Restart() {
    core_.emplace(SchedulerOptions());
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
  absl::Status Report(uint64_t node, const NodeReport& report) {
    const absl::Status status = core_->Report(now_, NodeId(node), report);
    Take();
    return status;
  }
  void Break(uint64_t node) {
    core_->SessionBroken(now_, NodeId(node));
    Take();
  }
  // The scheduler is stopped: time passes and nothing is called.
  void Sleep(absl::Duration time) { now_ += time; }
  // Time passes; `alive` nodes send heartbeats.
  void Pass(absl::Duration time, const std::vector<uint64_t>& alive) {
    const absl::Time end = now_ + time;
    while (now_ < end) {
      now_ += absl::Milliseconds(100);
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
  JobId Submit(const JobSpec& spec = Spec(), const std::string& id = "id") {
    const SubmitJobRequest request = Request(spec, id);
    const auto job = core_->Submit(now_, request, std::nullopt);
    REQUIRE(job.ok());
    Take();
    return *job;
  }
  void Prepared(uint64_t node, bool derived = false) {
    NodeReport report;
    report.mutable_job_prepared()->set_job(1);
    if (derived) *report.mutable_job_prepared()->mutable_plan() = Plan();
    REQUIRE(Report(node, report).ok());
  }
  void Refused(uint64_t node, const std::string& reason) {
    NodeReport report;
    report.mutable_job_refused()->set_job(1);
    report.mutable_job_refused()->set_reason(reason);
    REQUIRE(Report(node, report).ok());
  }
  void Installed(uint64_t node, uint64_t view, const std::string& error = "") {
    NodeReport report;
    report.mutable_view_installed()->set_job(1);
    report.mutable_view_installed()->set_view(view);
    report.mutable_view_installed()->set_error(error);
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
  void Rounds(uint64_t node, uint64_t from, uint64_t to) {
    NodeReport report;
    ShardProgress& progress = *report.mutable_shard_progress();
    progress.set_job(1);
    progress.set_view(CurrentView().view());
    progress.set_version(to);
    for (uint64_t round = from; round < to; ++round) {
      RoundStats& stats = *progress.add_rounds();
      stats.set_round(round);
      stats.mutable_stats()->set_examples(10);
    }
    REQUIRE(Report(node, report).ok());
  }
  void Written(uint64_t node, uint32_t shard, uint64_t version, const std::string& error = "") {
    NodeReport report;
    ShardWritten& written = *report.mutable_shard_written();
    written.set_job(1);
    written.set_restore_id(CurrentView().restore().restore_id());
    written.set_version(version);
    written.set_shard(shard);
    written.set_file("file");
    written.set_error(error);
    REQUIRE(Report(node, report).ok());
  }
  void Evaluated(uint64_t node, EvaluationSet set, uint64_t version, uint32_t slot, int right = 1) {
    NodeReport report;
    SlotEvaluated& evaluated = *report.mutable_slot_evaluated();
    evaluated.set_job(1);
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

  // A job that runs on these nodes.
  void Start(uint64_t server, uint64_t worker) {
    Submit();
    Prepared(worker, /*derived=*/true);
    Prepared(server);
    Installed(server, 1);
    REQUIRE(GetJob().state() == JOB_STATE_RUNNING);
  }

  Job GetJob() { return *core_->GetJob(JobId(1)); }
  View CurrentView() { return GetJob().view(); }
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
  const std::vector<MetricRecord>& metrics() const { return metrics_; }
  const std::vector<std::string>& cleared_folders() const { return cleared_folders_; }
  const std::vector<uint64_t>& ended_sessions() const { return ended_sessions_; }

  void CommitLast() {
    const CommitCheckpointFiles commit = commits_.back();
    core_->CheckpointCommitted(now_, commit.job, Version(commit.manifest.version()),
                               absl::StatusOr<std::string>("dir"));
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
      } else if (auto* publish = std::get_if<PublishEvent>(&action)) {
        if (publish->event.has_metric()) metrics_.push_back(publish->event.metric());
      } else if (auto* leftovers = std::get_if<DeletePartialFiles>(&action)) {
        cleared_folders_.push_back(leftovers->folder);
      } else if (auto* end = std::get_if<EndSession>(&action)) {
        ended_sessions_.push_back(end->node.value());
      }
    }
  }

 private:
  std::map<uint64_t, JoinRequest> joins_;
  absl::Time now_ = absl::UnixEpoch() + absl::Hours(1);
  std::map<std::pair<std::string, std::string>, std::string> store_;
  std::optional<SchedulerCore> core_;
  std::vector<std::pair<uint64_t, Directive>> sent_;
  std::vector<CommitCheckpointFiles> commits_;
  std::vector<ComputeResult> results_;
  std::vector<MetricRecord> metrics_;
  std::vector<std::string> cleared_folders_;
  std::vector<uint64_t> ended_sessions_;
};

TEST_CASE("A view goes to the servers first, and to workers when all of them hold it") {
  Harness h;
  const uint64_t s1 = h.Join(NODE_ROLE_SERVER, "s1"), s2 = h.Join(NODE_ROLE_SERVER, "s2"),
                 w = h.Join(NODE_ROLE_WORKER, "w");
  h.Submit();
  h.Prepared(w, true);
  h.Prepared(s1);
  h.Prepared(s2);
  REQUIRE(h.CurrentView().shards_size() == 2);
  CHECK(h.Last(s1, Directive::kView) != nullptr);
  CHECK(h.Last(w, Directive::kView) == nullptr);
  h.Installed(s1, 1);
  CHECK(h.Last(w, Directive::kView) == nullptr);
  h.Installed(s2, 1);
  REQUIRE(h.Last(w, Directive::kView) != nullptr);
  CHECK(h.Last(w, Directive::kView)->view().target().version() == 10);
}

TEST_CASE("A lost worker's slots go to the others in a new view, with the same restore point") {
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w1 = h.Join(NODE_ROLE_WORKER, "w1"),
                 w2 = h.Join(NODE_ROLE_WORKER, "w2");
  h.Submit();
  h.Prepared(w1, true);
  h.Prepared(w2);
  h.Prepared(s);
  h.Installed(s, 1);
  REQUIRE(h.CurrentView().slots_size() == 2);
  h.Break(w1);
  h.Pass(absl::Milliseconds(300), {s, w2});
  CHECK(h.CurrentView().view() == 1);  // it may come back
  h.Pass(absl::Milliseconds(300), {s, w2});
  const View view = h.CurrentView();
  CHECK(view.view() == 2);
  REQUIRE(view.slots_size() == 1);
  CHECK(view.slots(0).worker().node_id() == w2);
  CHECK(view.slots(0).slot_end() == kSlots);
  CHECK(view.restore().restore_id() == 1);
  CHECK(h.Open(w1).code() == absl::StatusCode::kFailedPrecondition);
}

TEST_CASE("A frozen node's lease ends after its silence, and its stream is ended") {
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w1 = h.Join(NODE_ROLE_WORKER, "w1");
  h.Start(s, w1);
  h.Pass(absl::Seconds(2), {s});
  CHECK(h.ended_sessions().empty());
  h.Pass(absl::Seconds(2), {s});
  CHECK(h.ended_sessions() == std::vector<uint64_t>{w1});
  NodeReport heartbeat;
  heartbeat.mutable_heartbeat();
  CHECK(h.Report(w1, heartbeat).code() == absl::StatusCode::kFailedPrecondition);
}

TEST_CASE("A scheduler that was stopped for longer than a lease takes nobody for dead") {
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w = h.Join(NODE_ROLE_WORKER, "w");
  h.Start(s, w);
  h.Pass(absl::Seconds(1), {s, w});
  h.Sleep(absl::Seconds(20));
  SECTION("whose heartbeats come first") {}
  SECTION("whose streams have broken meanwhile, and come back") {
    h.Break(w);
    h.Pass(absl::Seconds(1), {s});
    REQUIRE(h.Open(w).ok());
  }
  SECTION("before it has ticked") { h.core().Tick(h.now()); }
  h.Pass(absl::Seconds(4), {s, w});
  CHECK(h.ended_sessions().empty());
  CHECK(h.CurrentView().view() == 1);
  h.Pass(absl::Seconds(4), {s});  // who is silent now is dead
  CHECK(h.ended_sessions() == std::vector<uint64_t>{w});
}

TEST_CASE("A session broken and opened again within its grace changes no view") {
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w = h.Join(NODE_ROLE_WORKER, "w");
  h.Start(s, w);
  h.Clear();
  h.Break(w);
  REQUIRE(h.Open(w).ok());
  h.Pass(absl::Seconds(1), {s, w});
  CHECK(h.CurrentView().view() == 1);
  CHECK(h.Last(w, Directive::kPrepareJob) != nullptr);  // whatever it missed is sent again
  CHECK(h.Last(w, Directive::kView) != nullptr);
}

TEST_CASE("A lost server sends the job back to its newest checkpoint, on the servers that are there") {
  Harness h;
  const uint64_t s1 = h.Join(NODE_ROLE_SERVER, "s1"), s2 = h.Join(NODE_ROLE_SERVER, "s2"),
                 w = h.Join(NODE_ROLE_WORKER, "w");
  h.Submit();
  h.Prepared(w, true);
  h.Prepared(s1);
  h.Prepared(s2);
  h.Installed(s1, 1);
  h.Installed(s2, 1);
  h.Written(s1, 0, 5);
  CHECK(h.commits().empty());
  h.Written(s2, 1, 5);
  REQUIRE(h.commits().size() == 1);
  CHECK(h.commits()[0].manifest.shards_size() == 2);
  h.CommitLast();
  h.Break(s1);
  h.Pass(absl::Seconds(1), {s2, w});
  const View view = h.CurrentView();
  CHECK(view.view() == 2);
  REQUIRE(view.shards_size() == 1);
  CHECK(view.shards(0).primary().node_id() == s2);
  CHECK(view.restore().restore_id() == 2);
  CHECK(view.restore().version() == 5);
  // Reports of before the rewind count no more.
  h.Clear();
  h.Installed(s2, 2);
  CHECK(h.Last(w, Directive::kView)->view().restore().version() == 5);
}

TEST_CASE("The target moves only when the verdict on the evaluation is there, from every slot") {
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w = h.Join(NODE_ROLE_WORKER, "w");
  h.Start(s, w);
  h.Reached(s, 0, 10);
  for (uint32_t slot = 0; slot + 1 < kSlots; ++slot) h.Evaluated(w, EVALUATION_SET_VALIDATION, 10, slot);
  h.Evaluated(w, EVALUATION_SET_VALIDATION, 10, 0);  // twice: counts once
  CHECK(h.Last(w, Directive::kTarget) == nullptr);
  h.Evaluated(w, EVALUATION_SET_VALIDATION, 10, kSlots - 1);
  REQUIRE(h.Last(w, Directive::kTarget) != nullptr);
  CHECK(h.Last(w, Directive::kTarget)->target().version() == 20);
  REQUIRE(h.GetJob().evaluations_size() == 1);
  CHECK(h.GetJob().evaluations(0).statistics().examples() == 2 * kSlots);
}

TEST_CASE("A restarted scheduler goes on: nodes report again, and nothing is decided twice") {
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w = h.Join(NODE_ROLE_WORKER, "w");
  h.Start(s, w);
  h.Reached(s, 0, 10);
  h.EvaluatedAll(w, EVALUATION_SET_VALIDATION, 10);
  h.Clear();
  h.Restart();
  REQUIRE(h.Open(s).ok());
  REQUIRE(h.Open(w).ok());
  h.Installed(s, 1);
  h.Pass(absl::Seconds(1), {s, w});
  CHECK(h.CurrentView().view() == 1);
  REQUIRE(h.Last(w, Directive::kView) != nullptr);
  CHECK(h.Last(w, Directive::kView)->view().target().version() == 20);
  CHECK(h.GetJob().evaluations_size() == 1);
}

TEST_CASE(
    "The best version is kept: the servers go back to it for the test, then its parameters are the result") {
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w = h.Join(NODE_ROLE_WORKER, "w");
  h.Start(s, w);
  for (uint64_t version : {5, 10}) {
    h.Written(s, 0, version);
    h.CommitLast();
  }
  h.Reached(s, 0, 10);
  h.EvaluatedAll(w, EVALUATION_SET_VALIDATION, 10, /*right=*/2);
  h.Reached(s, 0, 20);
  h.EvaluatedAll(w, EVALUATION_SET_VALIDATION, 20, /*right=*/1);
  CHECK(h.GetJob().state() == JOB_STATE_TESTING);
  CHECK(h.CurrentView().restore().version() == 0);  // the last version's checkpoint comes first
  h.Written(s, 0, 20);
  CHECK(h.CurrentView().restore().version() == 0);
  h.CommitLast();
  CHECK(h.CurrentView().restore().version() == 10);
  h.Installed(s, 2);
  h.EvaluatedAll(w, EVALUATION_SET_TEST, 10);
  REQUIRE(h.results().size() == 1);
  CHECK(h.results()[0].version == Version(10));
  h.core().ResultComputed(h.now(), JobId(1), Version(10), absl::StatusOr<std::string>("abc"));
  h.Take();
  CHECK(h.GetJob().state() == JOB_STATE_COMPLETED);
  CHECK(h.GetJob().result().parameters_sha256() == "abc");
  CHECK(h.GetJob().result().version() == 10);
  CHECK(*h.GetJob().checkpoints().rbegin() == 20);
  CHECK(h.Last(w, Directive::kCloseJob) != nullptr);
  CHECK(h.cleared_folders() == std::vector<std::string>{h.GetJob().checkpoint_dir()});
}

TEST_CASE("Checkpoints that are committed are not asked for again when a new session reports them") {
  JobSpec spec = Spec();
  spec.mutable_checkpoint()->set_keep(1);
  spec.mutable_evaluation()->set_keep_best(false);
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w = h.Join(NODE_ROLE_WORKER, "w");
  h.Submit(spec);
  h.Prepared(w, /*derived=*/true);
  h.Prepared(s);
  h.Installed(s, 1);
  for (uint64_t version : {5, 10, 15}) {
    h.Written(s, 0, version);
    if (version < 15) h.CommitLast();
  }
  CHECK(h.GetJob().checkpoints_size() == 1);  // 10; 5 is gone
  h.Restart();                                // before it knew that 15 is committed
  REQUIRE(h.Open(s).ok());
  const size_t before = h.commits().size();
  for (uint64_t version : {5, 10, 15}) h.Written(s, 0, version);
  REQUIRE(h.commits().size() == before + 1);
  CHECK(h.commits().back().manifest.version() == 15);
}

TEST_CASE("A last version that can't be written does not keep the best one from being tested") {
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w = h.Join(NODE_ROLE_WORKER, "w");
  h.Start(s, w);
  h.Written(s, 0, 10);
  h.CommitLast();
  h.Reached(s, 0, 10);
  h.EvaluatedAll(w, EVALUATION_SET_VALIDATION, 10, /*right=*/2);
  h.Reached(s, 0, 20);
  h.EvaluatedAll(w, EVALUATION_SET_VALIDATION, 20, /*right=*/1);
  h.Written(s, 0, 20, "No space left on device");
  CHECK(h.CurrentView().restore().version() == 10);
}

TEST_CASE("Training stops early when the patience is over") {
  JobSpec spec = Spec();
  spec.mutable_evaluation()->mutable_every()->set_rounds(5);
  spec.mutable_evaluation()->set_patience(1);
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w = h.Join(NODE_ROLE_WORKER, "w");
  h.Submit(spec);
  h.Prepared(w, true);
  h.Prepared(s);
  h.Installed(s, 1);
  h.Reached(s, 0, 5);
  h.EvaluatedAll(w, EVALUATION_SET_VALIDATION, 5, 2);
  h.Reached(s, 0, 10);
  h.EvaluatedAll(w, EVALUATION_SET_VALIDATION, 10, 1);
  CHECK(h.GetJob().state() == JOB_STATE_TESTING);
}

TEST_CASE("A result whose checkpoint can't be written is tried again, then fails the job with the reason") {
  JobSpec spec = Spec();
  spec.mutable_evaluation()->mutable_every()->set_never(true);
  spec.mutable_evaluation()->set_keep_best(false);
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w = h.Join(NODE_ROLE_WORKER, "w");
  h.Submit(spec);
  h.Prepared(w, true);
  h.Prepared(s);
  for (int attempt = 0; attempt < 3; ++attempt) {
    h.Installed(s, h.CurrentView().view());
    h.Reached(s, 0, 20);
    h.Written(s, 0, 20, "No space left on device");
  }
  CHECK(h.GetJob().state() == JOB_STATE_FAILED);
  CHECK_THAT(h.GetJob().reason(), Catch::Matchers::Contains("could not be written"));
}

TEST_CASE("A restore point that no server can load fails the job after some attempts") {
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w = h.Join(NODE_ROLE_WORKER, "w");
  h.Submit();
  h.Prepared(w, true);
  h.Prepared(s);
  for (int attempt = 0; attempt < 3; ++attempt) h.Installed(s, h.CurrentView().view(), "the file is damaged");
  CHECK(h.GetJob().state() == JOB_STATE_FAILED);
  CHECK(h.GetJob().reason() == "the file is damaged");
}

TEST_CASE(
    "When the worker that reads the data dies, another one does; when all refuse, the job fails with the "
    "reason") {
  Harness h;
  const uint64_t w1 = h.Join(NODE_ROLE_WORKER, "w1"), w2 = h.Join(NODE_ROLE_WORKER, "w2");
  h.Submit();
  REQUIRE(h.Last(w1, Directive::kPrepareJob) != nullptr);
  CHECK(h.Last(w1, Directive::kPrepareJob)->prepare_job().derive());
  h.Break(w1);
  h.Pass(absl::Seconds(1), {w2});
  REQUIRE(h.Last(w2, Directive::kPrepareJob) != nullptr);
  for (int attempt = 1; attempt <= 3; ++attempt) {
    CHECK(h.GetJob().state() == JOB_STATE_PREPARING);
    h.Clear();
    h.Refused(w2, "no memory");
    h.Pass(absl::Seconds(5), {w2});
    CHECK((h.Last(w2, Directive::kPrepareJob) != nullptr) == (attempt < 3));
  }
  CHECK(h.GetJob().state() == JOB_STATE_FAILED);
  CHECK(h.GetJob().reason() == "no memory");
}

TEST_CASE("A worker that can't derive the plan does not fail a job that wants more workers than refused") {
  JobSpec spec = Spec();
  spec.mutable_cluster()->set_min_workers(2);
  Harness h;
  const uint64_t bad = h.Join(NODE_ROLE_WORKER, "bad");
  h.Submit(spec);
  for (int attempt = 0; attempt < 5; ++attempt) {
    h.Refused(bad, "disk full");
    h.Pass(absl::Seconds(20), {bad});
  }
  CHECK(h.GetJob().state() == JOB_STATE_PREPARING);
  CHECK_THAT(h.GetJob().reason(), Catch::Matchers::Contains("bad can't take part: disk full") ||
                                      Catch::Matchers::Contains("bad reads the data"));
  h.Refused(bad, "disk full");
  const uint64_t good = h.Join(NODE_ROLE_WORKER, "good");
  REQUIRE(h.Last(good, Directive::kPrepareJob) != nullptr);
  CHECK(h.Last(good, Directive::kPrepareJob)->prepare_job().derive());
}

TEST_CASE("A worker that has refused a job is asked again, less and less often, and takes part when it can") {
  JobSpec spec = Spec();
  spec.mutable_cluster()->set_min_workers(2);
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w1 = h.Join(NODE_ROLE_WORKER, "w1"),
                 w2 = h.Join(NODE_ROLE_WORKER, "w2");
  h.Submit(spec);
  h.Prepared(w1, /*derived=*/true);
  h.Prepared(s);
  int asked = 0;
  for (int second = 0; second < 60; ++second) {
    if (h.Last(w2, Directive::kPrepareJob) != nullptr) {
      ++asked;
      h.Clear();
      h.Refused(w2, "disk full");
    }
    h.Pass(absl::Seconds(1), {s, w1, w2});
  }
  CHECK(asked >= 5);
  CHECK(asked <= 7);  // after 1, 2, 4, 8, 16, 32 s
  CHECK_THAT(h.GetJob().reason(), Catch::Matchers::Contains("w2 can't take part: disk full"));
  h.Prepared(w2);
  CHECK(h.GetJob().state() == JOB_STATE_RUNNING);
}

TEST_CASE("The time that a job lay stopped is not training time") {
  JobSpec spec = Spec();
  spec.mutable_evaluation()->mutable_every()->set_never(true);
  spec.mutable_evaluation()->set_keep_best(false);
  spec.mutable_log_every()->set_rounds(5);
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w = h.Join(NODE_ROLE_WORKER, "w");
  h.Submit(spec);
  h.Prepared(w, /*derived=*/true);
  h.Prepared(s);
  h.Installed(s, 1);
  h.Pass(absl::Seconds(4), {s, w});
  h.Rounds(s, 0, 5);  // a record: what is counted is stored
  h.Sleep(absl::Hours(10));
  h.Restart();
  REQUIRE(h.Open(s).ok());
  REQUIRE(h.Open(w).ok());
  h.Installed(s, 1);
  h.Pass(absl::Seconds(2), {s, w});
  h.Pass(absl::Seconds(5), {s});  // the worker dies after 3
  const uint64_t w2 = h.Join(NODE_ROLE_WORKER, "w2");
  h.Prepared(w2);
  h.Installed(s, h.CurrentView().view());
  h.Pass(absl::Seconds(2), {s, w2});
  h.Rounds(s, 5, 20);
  h.EvaluatedAll(w2, EVALUATION_SET_TEST, 20);
  h.Written(s, 0, 20);
  h.CommitLast();
  h.core().ResultComputed(h.now(), JobId(1), Version(20), absl::StatusOr<std::string>("abc"));
  h.Take();
  REQUIRE(h.GetJob().state() == JOB_STATE_COMPLETED);
  CHECK(h.GetJob().result().train_seconds() == Approx(4 + 2 + 3 + 2).margin(0.3));
}

TEST_CASE("Log intervals that arrive in one report share its time, so none has the speed 0") {
  JobSpec spec = Spec();
  spec.mutable_log_every()->set_rounds(2);
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w = h.Join(NODE_ROLE_WORKER, "w");
  h.Submit(spec);
  h.Prepared(w, /*derived=*/true);
  h.Prepared(s);
  h.Installed(s, 1);
  h.Pass(absl::Seconds(1), {s, w});
  h.Rounds(s, 0, 8);  // 80 examples in a second
  REQUIRE(h.metrics().size() == 4);
  for (const MetricRecord& metric : h.metrics()) CHECK(metric.examples_per_second() == Approx(80));
}

TEST_CASE("A cancelled job says how far it came") {
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w = h.Join(NODE_ROLE_WORKER, "w");
  h.Start(s, w);
  h.Reached(s, 0, 7);
  REQUIRE(h.core().Cancel(h.now(), JobId(1)).ok());
  h.Take();
  CHECK(h.GetJob().version() == 7);
}

TEST_CASE("A plan that differs from the stored one does not count as prepared") {
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w1 = h.Join(NODE_ROLE_WORKER, "w1");
  h.Start(s, w1);
  const uint64_t w2 = h.Join(NODE_ROLE_WORKER, "w2");
  h.Clear();
  NodeReport report;
  report.mutable_job_prepared()->set_job(1);
  *report.mutable_job_prepared()->mutable_plan() = Plan();
  report.mutable_job_prepared()->mutable_plan()->set_rounds(21);
  REQUIRE(h.Report(w2, report).ok());
  CHECK(h.CurrentView().slots_size() == 1);
  REQUIRE(h.Last(w2, Directive::kPrepareJob) != nullptr);
  CHECK(h.Last(w2, Directive::kPrepareJob)->prepare_job().plan().rounds() == 20);
}

TEST_CASE("A node that leaves gets no slots any more, and is let go") {
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w1 = h.Join(NODE_ROLE_WORKER, "w1");
  h.Start(s, w1);
  const uint64_t w2 = h.Join(NODE_ROLE_WORKER, "w2");
  h.Prepared(w2);
  NodeReport report;
  report.mutable_leaving();
  REQUIRE(h.Report(w1, report).ok());
  REQUIRE(h.CurrentView().slots_size() == 1);
  CHECK(h.CurrentView().slots(0).worker().node_id() == w2);
  CHECK(h.Last(w1, Directive::kReleased) != nullptr);
}

TEST_CASE("The same request gives the same job; jobs run one after the other") {
  Harness h;
  const uint64_t w = h.Join(NODE_ROLE_WORKER, "w");
  CHECK(h.Submit(Spec(), "a") == JobId(1));
  CHECK(h.Submit(Spec(), "a") == JobId(1));
  CHECK(h.Submit(Spec(), "b") == JobId(2));
  JobSpec other = Spec();
  other.mutable_optimizer()->set_learning_rate(0.2);
  CHECK(h.core().Submit(h.now(), Harness::Request(other, "a"), std::nullopt).status().code() ==
        absl::StatusCode::kAlreadyExists);
  CHECK(h.core().GetJob(JobId(2))->state() == JOB_STATE_QUEUED);
  REQUIRE(h.core().Cancel(h.now(), JobId(1)).ok());
  h.Take();
  CHECK(h.GetJob().state() == JOB_STATE_CANCELLED);
  CHECK(h.core().GetJob(JobId(2))->state() == JOB_STATE_PREPARING);
  CHECK(h.Last(w, Directive::kPrepareJob)->prepare_job().job() == 2);
  CHECK(h.core().Cancel(h.now(), JobId(9)).code() == absl::StatusCode::kNotFound);
}

TEST_CASE("A node that does not answer the offer of a job is sent it again, until it answers") {
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w = h.Join(NODE_ROLE_WORKER, "w");
  h.Submit();
  h.Clear();
  h.Pass(absl::Seconds(11), {s, w});
  REQUIRE(h.Last(w, Directive::kPrepareJob) != nullptr);
  CHECK(h.Last(w, Directive::kPrepareJob)->prepare_job().derive());
  h.Prepared(w, /*derived=*/true);
  h.Clear();
  h.Pass(absl::Seconds(11), {s, w});
  CHECK(h.Last(s, Directive::kPrepareJob) != nullptr);
  CHECK(h.Last(w, Directive::kPrepareJob) == nullptr);
}

TEST_CASE("A checkpoint of another job is refused as a start") {
  Harness h;
  SubmitJobRequest request;
  *request.mutable_spec() = Spec();
  ResumePoint resume;
  resume.spec_sha256 = "of something else";
  CHECK(h.core().Submit(h.now(), request, resume).status().code() == absl::StatusCode::kFailedPrecondition);
}

TEST_CASE("A folder with another job's checkpoints is refused, but not to the job that wrote them") {
  Harness h;
  const absl::Status taken = absl::FailedPreconditionError("the folder holds checkpoints");
  CHECK(h.core().Submit(h.now(), Harness::Request(), std::nullopt, taken).status() == taken);
  h.Submit();
  CHECK(*h.core().Submit(h.now(), Harness::Request(), std::nullopt, taken) == JobId(1));
  SubmitJobRequest second = Harness::Request(Spec(), "second");
  second.set_checkpoint_dir(Harness::Request().checkpoint_dir());
  const absl::Status refused = h.core().Submit(h.now(), second, std::nullopt).status();
  CHECK(refused.code() == absl::StatusCode::kFailedPrecondition);
  CHECK_THAT(std::string(refused.message()), Catch::Matchers::Contains("job 1"));
  REQUIRE(h.core().Cancel(h.now(), JobId(1)).ok());
  CHECK(h.core().Submit(h.now(), second, std::nullopt).ok());
}

TEST_CASE("A stall is named with its slots and their worker") {
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w = h.Join(NODE_ROLE_WORKER, "w");
  h.Start(s, w);
  NodeReport report;
  ShardProgress& progress = *report.mutable_shard_progress();
  progress.set_job(1);
  progress.set_view(1);
  progress.set_version(3);
  MissingSlots& missing = *progress.add_missing();
  missing.set_slot_begin(1);
  missing.set_slot_end(2);
  REQUIRE(h.Report(s, report).ok());
  CHECK(h.core().GetStatus(h.now()).stalls_size() == 0);
  h.Pass(absl::Seconds(3), {s, w});
  const ClusterStatus status = h.core().GetStatus(h.now());
  REQUIRE(status.stalls_size() == 1);
  CHECK_THAT(status.stalls(0),
             Catch::Matchers::Contains("job 1, round 3: slots [0,4) of w, silent for 0.0 s"));
}

TEST_CASE("A damaged store is an error that names the record") {
  SchedulerCore core((SchedulerOptions()));
  const absl::Status status = core.Load(absl::UnixEpoch(), {{kJobTable, "0001", "\xff\xff"}});
  CHECK(status.code() == absl::StatusCode::kDataLoss);
  CHECK_THAT(std::string(status.message()), Catch::Matchers::Contains("0001"));
}

TEST_CASE("A plan with more parameters than there can be counts as a refusal") {
  Harness h;
  const uint64_t worker = h.Join(NODE_ROLE_WORKER, "w");
  h.Submit();
  NodeReport report;
  report.mutable_job_prepared()->set_job(1);
  *report.mutable_job_prepared()->mutable_plan() = Plan();
  report.mutable_job_prepared()->mutable_plan()->add_group_sizes(uint64_t{1} << 62);
  REQUIRE(h.Report(worker, report).ok());
  CHECK_FALSE(h.GetJob().has_plan());
  CHECK_THAT(h.GetJob().reason(), Catch::Matchers::Contains("too large"));
}

TEST_CASE("Progress beyond the end of the training is dropped") {
  Harness h;
  const uint64_t server = h.Join(NODE_ROLE_SERVER, "s"), worker = h.Join(NODE_ROLE_WORKER, "w");
  h.Start(server, worker);
  h.Reached(server, 0, 21);
  CHECK(h.GetJob().version() == 0);
  h.Reached(server, 0, 20);
  CHECK(h.GetJob().version() == 20);
}

TEST_CASE("A record of the store whose key names no job is an error that names the record") {
  for (const char* table : {kStateTable, kEvaluationTable}) {
    for (const char* key : {"", "job", "123456789012345678901234"}) {
      SchedulerCore core((SchedulerOptions()));
      const absl::Status status = core.Load(absl::UnixEpoch(), {{table, key, ""}});
      CHECK(status.code() == absl::StatusCode::kDataLoss);
      CHECK_THAT(std::string(status.message()), Catch::Matchers::Contains(table));
    }
  }
}

}  // namespace
}  // namespace shoal::scheduler
