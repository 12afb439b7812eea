#include "worker/worker_jobs.h"

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "catch2/catch.hpp"
#include "common/base/fake_executor.h"
#include "common/job/job_spec.h"
#include "common/job/test_job.h"

namespace shoal::worker {
namespace {

JobSpec MakeSpec() {
  JobSpec spec = TestSpec(20, 4);
  spec.mutable_train()->set_slot_batch(2);
  CompleteJob(&spec);
  return spec;
}

JobPlan MakePlan() {
  JobPlan plan;
  ParameterInfo& parameter = *plan.add_parameters();
  parameter.set_name("weight");
  parameter.add_shape(8);
  plan.add_group_sizes(8);
  plan.set_rounds(20);
  plan.set_rounds_per_epoch(20);
  return plan;
}

// The calls to a runner; outlives it.
struct RunnerLog {
  NodeId self;
  bool cancelled = false, destroyed = false;
  std::vector<uint64_t> views, targets;
  int sessions = 0;
};

class FakeRunner : public JobRunner {
 public:
  explicit FakeRunner(std::shared_ptr<RunnerLog> log) : log_(std::move(log)) {}
  ~FakeRunner() override { log_->destroyed = true; }
  void OnView(const View& view) override { log_->views.push_back(view.view()); }
  void OnTarget(const Target& target) override { log_->targets.push_back(target.version()); }
  void OnSessionOpened() override { ++log_->sessions; }
  std::string Cancel() override {
    log_->cancelled = true;
    return "round 3, slot 5";
  }
  void AddTo(Heartbeat* heartbeat) const override { heartbeat->add_activities()->set_kind(ACTIVITY_COMPUTE); }

 private:
  const std::shared_ptr<RunnerLog> log_;
};

// Does what the test requests.
class FakeBuilder : public ProgramBuilder {
 public:
  absl::StatusOr<DerivedJob> Derive(const JobSpec&, const Progress& progress) override {
    if (const auto call = on_derive) call(progress);
    if (!status.ok()) return status;
    DerivedJob derived;
    derived.plan = MakePlan();
    derived.artifacts["dataset"] = "bytes";
    return derived;
  }
  absl::StatusOr<std::unique_ptr<Program>> Build(const JobSpec& spec, const JobPlan&,
                                                 const std::map<std::string, std::string>&,
                                                 const Progress& progress) override {
    if (on_spec) on_spec(spec);
    if (const auto call = on_build) call(progress);
    if (!status.ok()) return status;
    return std::unique_ptr<Program>();
  }

  absl::StatusOr<bool> HasData(const JobPlan&, const Progress&) override { return has_data; }

  absl::StatusOr<bool> has_data = true;
  std::function<void(const Progress&)> on_derive, on_build;
  std::function<void(const JobSpec&)> on_spec;  // the spec of what is built
  absl::Status status;
};

class FakeArtifacts : public ArtifactSource {
 public:
  void MakeRoom(const std::vector<Artifact>& wanted) override { made_room_for = wanted; }
  absl::StatusOr<std::string> Fetch(const Artifact& artifact, const Progress&) override {
    fetched.push_back(artifact.name());
    return "/cache/" + artifact.name();
  }
  absl::StatusOr<Artifact> Put(const std::string& name, const std::string&, const Progress&) override {
    Artifact artifact;
    artifact.set_name(name);
    return artifact;
  }

  std::vector<Artifact> made_room_for;
  std::vector<std::string> fetched;
};

struct Worker {
  Worker() {
    WorkerJobs::Options options;
    options.place = "worker-1 on host-a, working directory /data";
    options.builder = &builder;
    options.artifacts = &artifacts;
    options.report = [this](NodeReport report) { reports.push_back(std::move(report)); };
    options.make_runner = [this](const WorkerRounds::Options& rounds, std::unique_ptr<Program>) {
      runners.push_back(std::make_shared<RunnerLog>());
      runners.back()->self = rounds.self;
      return std::make_unique<FakeRunner>(runners.back());
    };
    options.executors = time.factory();
    options.on_stuck = [this](const absl::Status& status) { stuck = status; };
    jobs = std::make_unique<WorkerJobs>(std::move(options));
    jobs->OnJoined(NodeId(1));
  }

  static Directive PrepareRequest(uint64_t job, bool derive = false) {
    Directive directive;
    PrepareJob& prepare = *directive.mutable_prepare_job();
    prepare.set_job(job);
    prepare.set_derive(derive);
    *prepare.mutable_spec() = MakeSpec();
    if (!derive) *prepare.mutable_plan() = MakePlan();
    return directive;
  }
  void Prepare(uint64_t job, bool derive = false) {
    jobs->OnDirective(PrepareRequest(job, derive));
    time.Run();
  }
  void Close(uint64_t job) {
    Directive directive;
    directive.mutable_close_job()->set_job(job);
    jobs->OnDirective(directive);
  }
  std::vector<NodeReport> TakeReports() { return std::exchange(reports, {}); }

  FakeTime time;
  FakeBuilder builder;
  FakeArtifacts artifacts;
  std::vector<NodeReport> reports;
  std::vector<std::shared_ptr<RunnerLog>> runners;
  absl::Status stuck;
  std::unique_ptr<WorkerJobs> jobs;  // last: the first to be destroyed
};

Directive ViewOf(uint64_t job, uint64_t view, uint64_t training = 77) {
  Directive directive;
  directive.mutable_view()->set_job(job);
  directive.mutable_view()->set_view(view);
  directive.mutable_view()->set_training_id(training);
  return directive;
}

}  // namespace

TEST_CASE("A job is prepared, reported, run and closed; another job's views and end don't affect it") {
  Worker worker;
  worker.Prepare(1, /*derive=*/true);
  const auto reports = worker.TakeReports();
  REQUIRE(reports.size() == 1);
  REQUIRE(reports[0].job_prepared().plan().artifacts_size() == 1);
  CHECK(reports[0].job_prepared().plan().artifacts(0).name() == "dataset");
  worker.jobs->OnDirective(ViewOf(1, 5));
  worker.jobs->OnDirective(ViewOf(2, 6));
  CHECK(worker.runners[0]->views == std::vector<uint64_t>{5});
  worker.TakeReports();
  worker.jobs->OnSessionOpened();
  CHECK(worker.TakeReports().size() == 1);
  CHECK(worker.runners[0]->sessions == 1);
  worker.Close(2);
  CHECK_FALSE(worker.runners[0]->cancelled);
  worker.Close(1);
  CHECK(worker.runners[0]->cancelled);
  worker.jobs->OnDirective(ViewOf(1, 7));
  CHECK(worker.runners[0]->views == std::vector<uint64_t>{5});
}

TEST_CASE("A worker fetches what it reads, and leaves the others of the plan to those who share its folder") {
  Worker worker;
  Directive request = Worker::PrepareRequest(1);
  for (const char* name : {"dataset", "weights", "frozen"})
    request.mutable_prepare_job()->mutable_plan()->add_artifacts()->set_name(name);
  worker.jobs->OnDirective(request);
  worker.time.Run();
  CHECK(worker.artifacts.fetched == std::vector<std::string>{"dataset", "frozen"});
  CHECK(worker.artifacts.made_room_for.size() == 2);  // not for the weights, which servers read
}

TEST_CASE("A view of a job that is not here is refused, once, until the job is offered or a session begins") {
  Worker worker;
  const auto refusals = [&](int views) {
    for (int view = 1; view <= views; ++view) worker.jobs->OnDirective(ViewOf(1, view));
    const auto reports = worker.TakeReports();
    for (const NodeReport& report : reports) {
      CHECK(report.job_refused().job() == 1);
      CHECK(report.job_refused().outdated_training() == 0);  // the store need not be an older copy
      CHECK_FALSE(report.job_refused().fatal());
    }
    return reports.size();
  };
  CHECK(refusals(3) == 1);
  worker.jobs->OnSessionOpened();
  CHECK(refusals(3) == 1);
  worker.jobs->OnDirective(Worker::PrepareRequest(1));
  CHECK(refusals(3) == 0);  // it is being prepared
  worker.time.Run();
  REQUIRE(worker.TakeReports().size() == 1);
  worker.Close(1);
  CHECK(refusals(3) == 1);
  // Refused by itself: the scheduler is about to know.
  worker.Prepare(1);
  worker.jobs->OnDirective(ViewOf(1, 5));
  worker.TakeReports();
  worker.jobs->OnDirective(ViewOf(1, 1, /*training=*/78));
  CHECK(worker.TakeReports().size() == 1);
  CHECK(refusals(3) == 0);
}

TEST_CASE("A view of another training ends the job here, which is refused and prepared again when offered") {
  Worker worker;
  worker.Prepare(1);
  worker.jobs->OnDirective(ViewOf(1, 5));
  worker.TakeReports();
  worker.jobs->OnDirective(ViewOf(1, 1, /*training=*/78));
  CHECK(worker.runners[0]->cancelled);
  CHECK(worker.runners[0]->views == std::vector<uint64_t>{5});
  const auto reports = worker.TakeReports();
  REQUIRE(reports.size() == 1);
  CHECK(reports[0].job_refused().job() == 1);
  CHECK_FALSE(reports[0].job_refused().fatal());
  worker.Prepare(1);
  worker.jobs->OnDirective(ViewOf(1, 1, /*training=*/78));
  REQUIRE(worker.runners.size() == 2);
  CHECK(worker.runners[1]->views == std::vector<uint64_t>{1});
}

TEST_CASE("A view older than an earlier one is of an older store: the job is dropped, and that is reported") {
  Worker worker;
  worker.Prepare(1);
  worker.jobs->OnDirective(ViewOf(1, 5));
  worker.TakeReports();
  worker.jobs->OnDirective(ViewOf(1, 5));  // in a new session
  CHECK_FALSE(worker.runners[0]->cancelled);
  Directive directive;
  directive.mutable_target()->set_job(1);
  SECTION("an older view") { directive = ViewOf(1, 4); }
  SECTION("another view of that number") {
    directive = ViewOf(1, 5);
    directive.mutable_view()->mutable_restore()->set_restore_id(9);
  }
  SECTION("an older target") {
    directive.mutable_target()->set_version(20);
    worker.jobs->OnDirective(directive);
    CHECK_FALSE(worker.runners[0]->cancelled);
    directive.mutable_target()->set_version(10);
  }
  worker.jobs->OnDirective(directive);
  CHECK(worker.runners[0]->cancelled);
  const auto reports = worker.TakeReports();
  REQUIRE(reports.size() == 1);
  CHECK(reports[0].job_refused().outdated_training() == 77);
  CHECK_FALSE(reports[0].job_refused().fatal());
  // The report may be lost with its session.
  worker.jobs->OnSessionOpened();
  const auto repeated = worker.TakeReports();
  REQUIRE(repeated.size() == 1);
  CHECK(repeated[0].job_refused().outdated_training() == 77);
  worker.Prepare(1);
  worker.TakeReports();
  for (uint64_t view : {9, 10}) worker.jobs->OnDirective(ViewOf(1, view));
  const auto of_views = worker.TakeReports();
  REQUIRE(of_views.size() == 1);
  CHECK(of_views[0].job_refused().outdated_training() == 77);
  const int how = GENERATE(0, 1, 2);  // the scheduler knows
  if (how == 0) worker.jobs->OnLeaseLost();
  if (how == 1) worker.Close(1);
  if (how == 2) {
    Directive other = ViewOf(1, 1);
    other.mutable_view()->set_training_id(78);
    worker.jobs->OnDirective(other);
    worker.Close(1);
  }
  worker.TakeReports();
  worker.jobs->OnSessionOpened();
  CHECK(worker.TakeReports().empty());
}

TEST_CASE("The end of a job waits for no slot; the preparer does, before the next job begins") {
  Worker worker;
  worker.Prepare(1);
  worker.Close(1);
  CHECK(worker.runners[0]->cancelled);
  CHECK_FALSE(worker.runners[0]->destroyed);  // so no call has waited
  worker.builder.on_build = [&](const Progress&) { CHECK(worker.runners[0]->destroyed); };
  worker.Prepare(2);
  CHECK(worker.runners.size() == 2);
}

// Another cluster numbers its jobs from 1 as well, and may even have the same spec and plan.
TEST_CASE(
    "Of the jobs that follow one another without a pause, one still has its memory, and heartbeats say so") {
  Worker worker;
  const auto former = [&] {
    const Heartbeat heartbeat = worker.jobs->MakeHeartbeat();
    REQUIRE(heartbeat.queues_size() == 1);
    CHECK(heartbeat.queues(0).name() == "former jobs");
    CHECK(heartbeat.queues(0).limit() == WorkerJobs::kMaxFormerJobs);
    return heartbeat.queues(0).length();
  };
  worker.Prepare(1);
  CHECK(former() == 0);
  for (uint64_t job = 2; job < 6; ++job) {
    worker.jobs->OnDirective(Worker::PrepareRequest(job));
    CHECK(former() == 1);
    worker.time.Run();
    CHECK(former() == 0);
    REQUIRE(worker.runners.size() == job);
    CHECK(worker.runners[job - 2]->destroyed);
  }
}

TEST_CASE(
    "A lease lost while a job is prepared, then joined again: the new request gets its own preparation") {
  Worker worker;
  Directive next = Worker::PrepareRequest(1);
  SECTION("for another job of that number") {
    next.mutable_prepare_job()->mutable_spec()->set_name("another-cluster");
  }
  SECTION("for an equal one") {}
  std::vector<std::string> built;
  worker.builder.on_spec = [&](const JobSpec& spec) { built.push_back(spec.name()); };
  worker.builder.on_build = [&](const Progress&) {
    worker.builder.on_build = nullptr;
    worker.jobs->OnLeaseLost();
    worker.jobs->OnJoined(NodeId(2));
    worker.jobs->OnDirective(next);
    worker.jobs->OnDirective(next);
  };
  worker.jobs->OnDirective(Worker::PrepareRequest(1));
  worker.time.Run();
  CHECK(built == std::vector<std::string>{"test", next.prepare_job().spec().name()});
  REQUIRE(worker.runners.size() == 1);
  CHECK(worker.runners[0]->self == NodeId(2));
  CHECK(worker.TakeReports().size() == 1);
}

TEST_CASE("A request repeated during its preparation is prepared once; another of its number separately") {
  Worker worker;
  Directive next = Worker::PrepareRequest(1);
  size_t builds = 1;
  SECTION("again") {}
  SECTION("another plan") {
    next.mutable_prepare_job()->mutable_plan()->set_rounds(21);
    builds = 2;
  }
  size_t built = 0;
  worker.builder.on_build = [&](const Progress&) {
    if (++built == 1) worker.jobs->OnDirective(next);
  };
  worker.Prepare(1);
  CHECK(built == builds);
  CHECK(worker.runners.size() == 1);
  CHECK(worker.TakeReports().size() == 1);
}

TEST_CASE("A lease lost while a job is prepared, without a new request: nothing is held") {
  Worker worker;
  worker.builder.on_build = [&](const Progress&) { worker.jobs->OnLeaseLost(); };
  worker.Prepare(1);
  CHECK(worker.runners.empty());
  CHECK(worker.TakeReports().empty());
}

TEST_CASE("A job wanted while another is prepared is prepared next, and the earlier one is not held") {
  Worker worker;
  worker.builder.on_build = [&](const Progress&) {
    worker.builder.on_build = nullptr;
    worker.Close(1);
    worker.jobs->OnDirective(Worker::PrepareRequest(2));
  };
  worker.Prepare(1);
  const auto reports = worker.TakeReports();
  REQUIRE(reports.size() == 1);
  CHECK(reports[0].job_prepared().job() == 2);
}

TEST_CASE("A worker that lacks the data says where it looked, and blames the job only for spec and data") {
  const auto refusal = [](const absl::Status& status, bool derive) {
    Worker worker;
    worker.builder.status = status;
    worker.Prepare(1, derive);
    const auto reports = worker.TakeReports();
    REQUIRE(reports.size() == 1);
    return reports[0].job_refused();
  };
  for (const absl::Status& status :
       {absl::NotFoundError("can't open train.tsv"), absl::PermissionDeniedError("can't open train.tsv"),
        absl::UnknownError("can't open train.tsv"), absl::ResourceExhaustedError("can't open train.tsv")}) {
    const JobRefused refused = refusal(status, true);
    CHECK_FALSE(refused.fatal());
    CHECK(refused.reason() == "can't open train.tsv (worker-1 on host-a, working directory /data)");
  }
  CHECK(refusal(absl::InvalidArgumentError("there is no column 'text'"), true).fatal());
  CHECK(refusal(absl::InvalidArgumentError("there is no column 'text'"), true).reason() ==
        "there is no column 'text'");
  CHECK_FALSE(refusal(absl::InvalidArgumentError("the dataset belongs to another job"), false).fatal());
}

TEST_CASE("A worker reports whether it has the plan's data, different data, or none") {
  Worker worker;
  SECTION("the same") {
    worker.Prepare(1);
    REQUIRE(worker.reports.size() == 1);
    CHECK(worker.reports[0].job_prepared().has_data());
  }
  SECTION("none") {
    worker.builder.has_data = false;
    worker.Prepare(1);
    REQUIRE(worker.reports.size() == 1);
    CHECK(worker.reports[0].has_job_prepared());
    CHECK_FALSE(worker.reports[0].job_prepared().has_data());
  }
  SECTION("others") {
    worker.builder.has_data = absl::FailedPreconditionError("train.tsv differs");
    worker.Prepare(1);
    REQUIRE(worker.reports.size() == 1);
    CHECK(worker.reports[0].job_refused().differs());
    CHECK_FALSE(worker.reports[0].job_refused().fatal());
  }
  SECTION("it can't say") {
    worker.builder.has_data = absl::UnknownError("Input/output error");
    worker.Prepare(1);
    REQUIRE(worker.reports.size() == 1);
    CHECK(worker.reports[0].has_job_refused());
    CHECK_FALSE(worker.reports[0].job_refused().differs());
  }
}

TEST_CASE("An impossible plan is refused") {
  Worker worker;
  Directive directive = Worker::PrepareRequest(1);
  directive.mutable_prepare_job()->mutable_plan()->set_group_sizes(0, ~uint64_t{0});
  worker.jobs->OnDirective(directive);
  worker.time.Run();
  CHECK(worker.runners.empty());
  REQUIRE(worker.reports.size() == 1);
  CHECK_THAT(worker.reports[0].job_refused().reason(),
             Catch::Matchers::Contains("plan: groups are too large"));
}

TEST_CASE("Heartbeats say what the worker is doing, and since when it has made no progress") {
  Worker worker;
  CHECK(worker.jobs->MakeHeartbeat().activities().empty());
  const auto only = [&] {
    const Heartbeat heartbeat = worker.jobs->MakeHeartbeat();
    REQUIRE(heartbeat.activities_size() == 1);
    return heartbeat.activities(0);
  };
  worker.builder.on_derive = [&](const Progress& progress) {
    CHECK(only().kind() == ACTIVITY_DERIVE);
    CHECK(only().job() == 7);
    progress("reads train.tsv");
    CHECK(only().detail() == "reads train.tsv");
    CHECK(only().idle_seconds() == 0);
    worker.time.RunFor(absl::Seconds(3));
    CHECK(only().idle_seconds() == 3);
  };
  worker.builder.on_build = [&](const Progress&) { CHECK(only().kind() == ACTIVITY_PREPARE); };
  worker.Prepare(7, /*derive=*/true);
  CHECK(only().kind() == ACTIVITY_COMPUTE);  // the runner's
  worker.Close(7);
  CHECK(worker.jobs->MakeHeartbeat().activities().empty());
}

TEST_CASE("A next job that waits too long for the previous one requests the end of the process") {
  Worker worker;
  worker.builder.on_build = [&](const Progress&) {
    // Hangs: what arrives meanwhile finds the preparer busy.
    worker.builder.on_build = nullptr;
    worker.Close(1);
    worker.time.RunFor(WorkerJobs::kMaxWaitForFormerJob * 2);
    CHECK(worker.stuck.ok());  // no job waits
    worker.jobs->OnDirective(Worker::PrepareRequest(2));
    worker.time.RunFor(WorkerJobs::kMaxWaitForFormerJob - absl::Seconds(1));
    CHECK(worker.stuck.ok());
    const Heartbeat heartbeat = worker.jobs->MakeHeartbeat();
    REQUIRE(heartbeat.activities_size() == 2);
    CHECK(heartbeat.activities(0).job() == 2);
    CHECK(heartbeat.activities(0).idle_seconds() > 290);
    worker.time.RunFor(absl::Seconds(1));
    CHECK(absl::IsDeadlineExceeded(worker.stuck));
  };
  worker.Prepare(1);
}

TEST_CASE("The same request again, during a long preparation, does not end the process") {
  Worker worker;
  worker.builder.on_build = [&](const Progress&) {
    worker.jobs->OnDirective(Worker::PrepareRequest(1));
    worker.time.RunFor(WorkerJobs::kMaxWaitForFormerJob * 2);
  };
  worker.Prepare(1);
  CHECK(worker.stuck.ok());
  CHECK(worker.TakeReports().size() == 1);
}

}  // namespace shoal::worker
