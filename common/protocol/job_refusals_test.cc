#include "common/protocol/job_refusals.h"

#include <vector>

#include "catch2/catch.hpp"

namespace shoal {
namespace {

struct Fixture {
  std::vector<JobRefused> sent;
  JobRefusals refusals{[this](const NodeReport& report) { sent.push_back(report.job_refused()); }};

  void Refuse(uint64_t job, uint64_t outdated_training = 0) {
    JobRefused refused;
    refused.set_job(job);
    refused.set_reason("a reason");
    refused.set_outdated_training(outdated_training);
    refusals.Refuse(refused);
  }
};

View ViewOf(uint64_t job, uint64_t training) {
  View view;
  view.set_job(job);
  view.set_training_id(training);
  return view;
}

TEST_CASE("A refusal answers for its job until the job is offered again or another session opens") {
  Fixture f;
  f.Refuse(3);
  REQUIRE(f.sent.size() == 1);
  CHECK(f.sent[0].reason() == "a reason");
  CHECK(f.refusals.HasRefused(JobId(3)));
  CHECK_FALSE(f.refusals.HasRefused(JobId(4)));
  CHECK_FALSE(f.refusals.IsOutdated(ViewOf(3, 77)));
  GENERATE(false, true) ? f.refusals.OnSessionOpened() : f.refusals.OnPrepareJob(JobId(3));
  CHECK_FALSE(f.refusals.HasRefused(JobId(3)));
  CHECK(f.sent.size() == 1);
}

TEST_CASE("That a training is outdated is repeated in each session, and for its views in each") {
  Fixture f;
  f.Refuse(3, 77);
  CHECK(f.refusals.IsOutdated(ViewOf(3, 77)));
  CHECK(f.sent.size() == 1);  // which is on its way
  f.refusals.OnSessionOpened();
  REQUIRE(f.sent.size() == 2);
  CHECK(f.sent[1].outdated_training() == 77);
  CHECK(f.sent[1].reason() == "a reason");
  f.refusals.OnPrepareJob(JobId(3));
  for (int i = 0; i < 2; ++i) CHECK(f.refusals.IsOutdated(ViewOf(3, 77)));
  CHECK(f.sent.size() == 3);
  CHECK_FALSE(f.refusals.IsOutdated(ViewOf(4, 77)));
}

TEST_CASE("It is forgotten as soon as the scheduler shows that it knows") {
  Fixture f;
  f.Refuse(3, 77);
  SECTION("it closes the job") { f.refusals.OnCloseJob(JobId(3)); }
  SECTION("it offers another one") { f.refusals.OnPrepareJob(JobId(4)); }
  SECTION("it begins another training") { CHECK_FALSE(f.refusals.IsOutdated(ViewOf(3, 78))); }
  SECTION("it takes the lease") { f.refusals.OnLeaseLost(); }
  f.refusals.OnSessionOpened();
  CHECK(f.sent.size() == 1);
  CHECK_FALSE(f.refusals.IsOutdated(ViewOf(3, 77)));
}

}  // namespace
}  // namespace shoal
