// User requests: jobs that wait, are cancelled, or are refused.
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "catch2/catch.hpp"
#include "scheduler/core_harness.h"

namespace shoal::scheduler {
namespace {

using Catch::Matchers::Contains;

TEST_CASE("A cancelled job says how far it got") {
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w = h.Join(NODE_ROLE_WORKER, "w");
  h.Start(s, w);
  h.Reached(s, 0, 7);
  REQUIRE(h.core().Cancel(h.now(), JobId(1)).ok());
  h.Take();
  CHECK(h.GetJob().version() == 7);
}

TEST_CASE("The same request returns the same job; jobs run one after another") {
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

TEST_CASE("A job beyond the maximum number of unfinished jobs is refused until one has ended") {
  Harness h;
  for (size_t i = 0; i < SchedulerCore::kMaxWaitingJobs; ++i) h.Submit(Spec(), absl::StrCat("job-", i));
  const SubmitJobRequest request = Harness::Request(Spec(), "one more");
  CHECK(absl::IsResourceExhausted(h.core().Submit(h.now(), request, std::nullopt).status()));
  CHECK(h.Submit(Spec(), "job-3") == JobId(4));  // submitted before
  REQUIRE(h.core().Cancel(h.now(), JobId(9)).ok());
  CHECK(h.core().Submit(h.now(), request, std::nullopt).ok());
}

TEST_CASE("However many jobs have ended, each list of jobs fits into a message") {
  Harness h;
  SubmitJobRequest request = Harness::Request();
  request.set_checkpoint_dir(std::string(4000, 'x'));
  const size_t jobs = SchedulerCore::kMaxListBytes / 4000 + 100;
  for (size_t i = 0; i < jobs; ++i) {
    request.set_request_id(absl::StrCat("job-", i));
    const auto job = h.core().Submit(h.now(), request, std::nullopt);
    REQUIRE(job.ok());
    REQUIRE(h.core().Cancel(h.now(), *job).ok());
    h.Take();
  }
  h.Submit(Spec(), "waits");
  const ClusterStatus status = h.core().GetStatus(h.now());
  CHECK(static_cast<size_t>(status.jobs_size()) == SchedulerCore::kMaxEndedJobs + 1);
  CHECK(status.older_jobs() == jobs - SchedulerCore::kMaxEndedJobs);
  CHECK(status.jobs(0).job() == status.older_jobs() + 1);
  CHECK(status.jobs().rbegin()->state() == JOB_STATE_PREPARING);
  bool more = false;
  const std::vector<Job> first = h.core().ListJobs(JobId(0), &more);
  CHECK(more);
  const std::vector<Job> others = h.core().ListJobs(JobId(first.back().job()), &more);
  CHECK_FALSE(more);
  CHECK(others.front().job() == first.back().job() + 1);
  CHECK(first.size() + others.size() == jobs + 1);
}

TEST_CASE("Requests that are too long or contain zero bytes are refused") {
  Harness h;
  SubmitJobRequest request = Harness::Request();
  request.set_checkpoint_dir(std::string(5000, 'x'));
  CHECK(absl::IsInvalidArgument(h.core().Submit(h.now(), request, std::nullopt).status()));
  request = Harness::Request();
  request.set_request_id(std::string("a\0b", 3));
  CHECK(absl::IsInvalidArgument(h.core().Submit(h.now(), request, std::nullopt).status()));
}

}  // namespace
}  // namespace shoal::scheduler
