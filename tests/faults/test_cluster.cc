#include "tests/faults/test_cluster.h"

#include <map>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "catch2/catch.hpp"
#include "tools/shoal/job_file.h"
#include "tools/shoal/report.h"

namespace shoal {
namespace {

constexpr absl::Duration kDeadline = absl::Seconds(120);
constexpr absl::Duration kWatchSlice = absl::Seconds(1);

// Long enough for faults to happen during the training, short enough for a test: about 510 rounds.
const std::vector<std::string> kJob = {"train.epochs=30", "evaluation.every=5 epochs",
                                       "evaluation.keep_best=false", "checkpoint.every=60 rounds"};

template <typename T>
T Value(absl::StatusOr<T> result) {
  INFO(result.status());
  REQUIRE(result.ok());
  return *std::move(result);
}

void RequireOk(const absl::Status& status) {
  INFO(status);
  REQUIRE(status.ok());
}

// "validation of version 85: <17 digits>", which two different doubles never share.
std::set<std::string> LossesOf(const Job& job, uint64_t after) {
  std::set<std::string> losses;
  for (const EvaluationRecord& evaluation : job.evaluations()) {
    if (evaluation.version() <= after) continue;
    losses.insert(absl::StrFormat("%s of version %d: %.17g", tools::SetName(evaluation.set()),
                                  evaluation.version(), evaluation.loss()));
  }
  REQUIRE(losses.size() > 1);
  return losses;
}

}  // namespace

TestCluster::TestCluster(const Shape& shape) : shape_(shape) {
  tools::LocalCluster::Options options;
  options.programs = Value(tools::DaemonPrograms::Find());
  options.folder = dir_.path();
  options.worker_threads = shape.threads;
  options.scheduler_flags = {"--lease-ms", "1000", "--heartbeat-ms", "100"};
  options.scheduler_flags.insert(options.scheduler_flags.end(), shape.scheduler_flags.begin(),
                                 shape.scheduler_flags.end());
  options.server_flags = shape.server_flags;
  options.worker_flags = shape.worker_flags;
  cluster_ = Value(tools::LocalCluster::Start(std::move(options)));
  for (int i = 0; i < shape.servers; ++i) RequireOk(cluster_->AddServer());
  for (int i = 0; i < shape.workers; ++i) RequireOk(cluster_->AddWorker());
  client_ = std::make_unique<tools::SchedulerClient>(cluster_->scheduler());
}

JobId TestCluster::Submit(const std::vector<std::string>& assignments, const std::string& resume_from) {
  std::vector<std::string> all = kJob;
  all.push_back(absl::StrCat("cluster.min_servers=", shape_.servers));
  all.push_back(absl::StrCat("cluster.min_workers=", shape_.workers));
  const bool names_file = !assignments.empty() && absl::EndsWith(assignments[0], ".yaml");
  const std::string file = names_file ? assignments[0] : "configs/jobs/tiny.yaml";
  all.insert(all.end(), assignments.begin() + (names_file ? 1 : 0), assignments.end());
  SubmitJobRequest request;
  *request.mutable_spec() = Value(tools::ReadJobFile(PosixEnv(), file, all));
  request.set_resume_from(resume_from);
  return Value(client_->Submit(request));
}

Job TestCluster::GetJob(JobId job) { return Value(client_->GetJob(job)); }

void TestCluster::WaitForEvent(JobId job, const std::function<bool(const JobEvent&)>& wanted) {
  const absl::Time deadline = absl::Now() + kDeadline;
  uint64_t after = 0;
  bool seen = false;
  while (!seen) {
    const absl::Status status = client_->Watch(
        job, &after, kWatchSlice, [&](const JobEvent& event) { return !(seen = wanted(event)); });
    INFO("job " << job << ": " << status);
    REQUIRE(absl::Now() < deadline);
    REQUIRE((seen || absl::IsUnavailable(status)));
  }
}

void TestCluster::WaitForRound(JobId job, uint64_t round) {
  WaitForEvent(job, [&](const JobEvent& event) {
    return event.progress().round() >= round || event.metric().round() >= round;
  });
}

Job TestCluster::WaitForEnd(JobId job) {
  const absl::Time deadline = absl::Now() + kDeadline;
  uint64_t after = 0;
  while (true) {
    const absl::Status status =
        client_->Watch(job, &after, kWatchSlice, [](const JobEvent&) { return true; });
    if (status.ok()) return GetJob(job);
    if (absl::Now() > deadline) {
      const auto now = client_->GetStatus();
      FAIL("job " << job << " does not end: " << status << "\n"
                  << (now.ok() ? now->DebugString() : now.status().ToString()));
    }
  }
}

void TestCluster::Signal(const std::string& process, int number) {
  Value(cluster_->Find(process))->Signal(number);
}

const Job& UndisturbedJob(const std::vector<std::string>& assignments) {
  static auto* const known = new std::map<std::vector<std::string>, Job>;
  const auto found = known->find(assignments);
  if (found != known->end()) return found->second;
  TestCluster cluster({});
  const Job job = cluster.WaitForEnd(cluster.Submit(assignments));
  INFO(job.reason());
  REQUIRE(job.state() == JOB_STATE_COMPLETED);
  REQUIRE(job.result().parameters_sha256().size() == 64);
  REQUIRE(job.result().version() == job.rounds());
  return (*known)[assignments] = job;
}

void CheckSameBits(const Job& job, const std::vector<std::string>& assignments, uint64_t after) {
  INFO(job.reason());
  REQUIRE(job.state() == JOB_STATE_COMPLETED);
  const Job& oracle = UndisturbedJob(assignments);
  CHECK(job.result().version() == oracle.result().version());
  CHECK(job.result().parameters_sha256() == oracle.result().parameters_sha256());
  CHECK(LossesOf(job, after) == LossesOf(oracle, after));
}

}  // namespace shoal
