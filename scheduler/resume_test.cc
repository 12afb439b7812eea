// Jobs that continue from another job's checkpoint.
#include <cmath>
#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "common/base/sha256.h"
#include "common/job/job_print.h"
#include "common/job/plan_text.h"
#include "scheduler/core_harness.h"

namespace shoal::scheduler {
namespace {

using Catch::Matchers::Contains;

EvaluationRecord Verdict(uint64_t version, uint64_t right, double loss, bool best) {
  EvaluationRecord record;
  record.set_set(EVALUATION_SET_VALIDATION);
  record.set_version(version);
  record.mutable_statistics()->set_examples(10);
  record.mutable_statistics()->set_loss(10 * loss);
  for (uint64_t cell : {right, uint64_t{0}, 10 - right, uint64_t{0}})
    record.mutable_statistics()->add_confusion(cell);
  record.set_loss(loss);
  record.set_metric(loss);  // of a job whose metric was the loss
  record.set_best(best);
  return record;
}

ResumePoint From(const JobSpec& spec, const std::vector<uint64_t>& versions) {
  ResumePoint resume;
  resume.version = Version(versions.back());
  resume.directory = "copies/the-good-one";
  resume.numerics_text = NumericsText(spec);
  resume.spec_sha256 = Sha256Hex(resume.numerics_text);
  resume.plan_text = PlanText(Plan());
  resume.plan_sha256 = Sha256Hex(resume.plan_text);
  for (uint64_t version : versions)
    resume.others.push_back({Version(version), "copies/" + std::to_string(version)});
  resume.others.back().directory = resume.directory;
  return resume;
}

// The job has continued from `resume` to the end, with an evaluation worse than the earlier ones.
void RunResumed(Harness* h, const ResumePoint& resume, uint64_t* s, uint64_t* w) {
  *s = h->Join(NODE_ROLE_SERVER, "s"), *w = h->Join(NODE_ROLE_WORKER, "w");
  h->Submit(Spec(), "id", resume);
  h->Prepared(*w, /*derived=*/true);
  h->Prepared(*s);
  REQUIRE(h->CurrentView().restore().checkpoint() == resume.directory);
  h->Installed(*s, 1);
  h->Reached(*s, 0, 20);
  h->EvaluatedAll(*w, EVALUATION_SET_VALIDATION, 20, /*right=*/1);
}

TEST_CASE(
    "A job can start from a lone copy of a version: the best so far, which is not beside it, does not "
    "count") {
  Harness h;
  ResumePoint resume = From(Spec(), {15});
  resume.evaluations = {Verdict(10, 9, 0.5, true)};
  uint64_t s, w;
  RunResumed(&h, resume, &s, &w);
  CHECK(h.Said("version 10, the best, no longer has a checkpoint"));
  CHECK(h.GetJob().state() == JOB_STATE_TESTING);
  h.Written(s, 0, 20);
  h.CommitLast();
  h.EvaluatedAll(w, EVALUATION_SET_TEST, 20);
  REQUIRE(h.results().size() == 1);
  CHECK(h.results()[0].version == Version(20));
}

TEST_CASE("A job that continues another keeps the best version, whichever job wrote it") {
  Harness h;
  ResumePoint resume = From(Spec(), {10, 15});
  resume.evaluations = {Verdict(10, 9, 0.5, true)};
  uint64_t s, w;
  RunResumed(&h, resume, &s, &w);
  CHECK_FALSE(h.Said("no longer has a checkpoint"));
  h.Written(s, 0, 20);
  h.CommitLast();
  CHECK(h.CurrentView().restore().version() == 10);
  CHECK(h.CurrentView().restore().checkpoint() == "copies/10");
  h.Installed(s, h.CurrentView().view());
  h.EvaluatedAll(w, EVALUATION_SET_TEST, 10);
  REQUIRE(h.results().size() == 1);
  CHECK(h.results()[0].checkpoint == "copies/10");
}

TEST_CASE("Of the checkpoints that a job continues from, users are shown those in its own folder") {
  Harness h;
  const bool same_folder = GENERATE(true, false);
  ResumePoint resume = From(Spec(), {10, 15});
  if (same_folder) {
    resume.directory = "checkpoints-of-id/version-15";
    resume.others[0].directory = "checkpoints-of-id/version-10";
    resume.others[1].directory = resume.directory;
  }
  uint64_t s, w;
  RunResumed(&h, resume, &s, &w);
  CHECK(h.GetJob().checkpoints_size() == (same_folder ? 2 : 0));
  h.Written(s, 0, 20);
  h.CommitLast("checkpoints-of-id/version-20");
  CHECK(h.GetJob().checkpoints_size() == (same_folder ? 3 : 1));
}

TEST_CASE("A version that was the best in its time is marked so after a resume, though it is pruned") {
  Harness h;
  ResumePoint resume = From(Spec(), {10, 15});
  resume.evaluations = {Verdict(5, 8, 0.6, true), Verdict(10, 9, 0.5, true), Verdict(15, 8, 0.6, false)};
  uint64_t s, w;
  RunResumed(&h, resume, &s, &w);
  const Job job = h.GetJob();
  REQUIRE(job.evaluations_size() == 4);
  CHECK(job.evaluations(0).best());
  CHECK(job.evaluations(1).best());
  CHECK_FALSE(job.evaluations(2).best());
  CHECK_FALSE(job.evaluations(3).best());
}

TEST_CASE("A damaged best version of the earlier job is trained again, from the start if need be") {
  Harness h;
  ResumePoint resume = From(Spec(), {10, 15});
  resume.evaluations = {Verdict(10, 9, 0.5, true)};
  uint64_t s, w;
  RunResumed(&h, resume, &s, &w);
  h.Written(s, 0, 20);
  h.CommitLast();
  h.Installed(s, h.CurrentView().view(), "checksum", /*damaged=*/true);
  h.Checked(kDamaged);
  CHECK(h.CurrentView().restore().version() == 0);
  h.Installed(s, h.CurrentView().view());
  h.Reached(s, 0, 10);
  h.Written(s, 0, 10);
  h.CommitLast();
  h.EvaluatedAll(w, EVALUATION_SET_TEST, 10);
  REQUIRE(h.results().size() == 1);
  CHECK(h.results()[0].version == Version(10));
}

TEST_CASE("A resume with another metric judges the old evaluations again, from their statistics") {
  Harness h;
  JobSpec spec = Spec();
  spec.mutable_evaluation()->set_metric(METRIC_ACCURACY);
  ResumePoint resume = From(spec, {5, 10, 15});
  resume.evaluations = {Verdict(5, 8, 0.9, true),
                        Verdict(10, 6, 0.5, true)};  // the loss liked the second better
  h.Submit(spec, "id", resume);
  const Job job = h.GetJob();
  REQUIRE(job.evaluations_size() == 2);
  CHECK(job.evaluations(0).metric() == Approx(0.8));
  CHECK(job.evaluations(0).best());
  CHECK(job.evaluations(1).metric() == Approx(0.6));
  CHECK_FALSE(job.evaluations(1).best());
}

TEST_CASE("Old evaluations without statistics, or without counts, count only if the metric is the same") {
  Harness h;
  JobSpec spec = Spec();
  const bool same = GENERATE(true, false), without_counts = GENERATE(true, false);
  spec.mutable_evaluation()->set_metric(same ? METRIC_LOSS : METRIC_ACCURACY);
  ResumePoint resume = From(spec, {5, 10, 15});
  resume.metric = METRIC_LOSS;
  resume.evaluations = {Verdict(5, 8, 0.5, true)};
  if (without_counts) {
    resume.evaluations[0].mutable_statistics()->clear_confusion();
  } else {
    resume.evaluations[0].clear_statistics();
  }
  h.Submit(spec, "id", resume);
  CHECK(h.GetJob().evaluations(0).best() == same);
}

TEST_CASE("Old evaluations that are not finite are not the best") {
  Harness h;
  JobSpec spec = Spec();
  spec.mutable_evaluation()->set_metric(METRIC_LOSS);
  ResumePoint resume = From(spec, {5, 10, 15});
  resume.evaluations = {Verdict(5, 8, std::nan(""), true), Verdict(10, 6, 0.5, false)};
  h.Submit(spec, "id", resume);
  CHECK_FALSE(h.GetJob().evaluations(0).best());
  CHECK(h.GetJob().evaluations(1).best());
}

TEST_CASE(
    "A checkpoint that was trained on other data is refused when the data has been read, with what differs") {
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w = h.Join(NODE_ROLE_WORKER, "w");
  ResumePoint resume = From(Spec(), {10});
  JobPlan other = Plan();
  other.set_train_examples(99);
  FileDigest& file = *other.add_files();
  file.set_path("/there/data.tsv");
  file.set_sha256("0123");
  h.Submit(Spec(), "id", resume);
  h.Prepared(w, /*derived=*/true, other);
  h.Prepared(s);
  for (int second = 0; second < 10; ++second) {
    CHECK(h.GetJob().state() == JOB_STATE_PREPARING);  // another worker that has the data may join
    if (h.Last(w, Directive::kPrepareJob) != nullptr) h.Prepared(w, /*derived=*/true, other);
    h.Pass(absl::Seconds(1), {s, w});
  }
  CHECK(h.GetJob().state() == JOB_STATE_FAILED);
  CHECK(h.CurrentView().view() == 0);  // no server was told where to write
  CHECK(h.Last(s, Directive::kPrepareJob) == nullptr);
  CHECK_THAT(h.GetJob().reason(), Contains(resume.plan_sha256) && Contains(Sha256Hex(PlanText(other))) &&
                                      Contains("data.file 1 data.tsv: SHA-256 0123 here, not set there") &&
                                      Contains("examples.training: 99 here, 100 there"));
}

// The schedule's rate does not depend on the length.
JobSpec ConstantSpec(uint64_t rounds) {
  JobSpec spec = Spec();
  spec.mutable_train()->set_rounds(rounds);
  spec.mutable_schedule()->set_type(SCHEDULE_TYPE_CONSTANT);
  spec.mutable_schedule()->clear_end_factor();
  return spec;
}

TEST_CASE("A training goes on for longer if its schedule does not depend on the length") {
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w = h.Join(NODE_ROLE_WORKER, "w");
  h.Submit(ConstantSpec(30), "id", From(ConstantSpec(20), {20}));
  JobPlan longer = Plan();
  longer.set_rounds(30);
  h.Prepared(w, /*derived=*/true, longer);
  h.Prepared(s);
  CHECK(h.GetJob().state() == JOB_STATE_RUNNING);
  CHECK(h.CurrentView().restore().version() == 20);
}

TEST_CASE("A training that has gone on for longer than a job is refused when the data has been read") {
  Harness h;
  const uint64_t w = h.Join(NODE_ROLE_WORKER, "w");
  h.Submit(ConstantSpec(15), "id", From(ConstantSpec(20), {20}));
  JobPlan shorter = Plan();
  shorter.set_rounds(15);
  h.Prepared(w, /*derived=*/true, shorter);
  for (int second = 0; second < 12; ++second) {
    if (h.Last(w, Directive::kPrepareJob) != nullptr) h.Prepared(w, /*derived=*/true, shorter);
    h.Pass(absl::Seconds(1), {w});
  }
  CHECK_THAT(h.GetJob().reason(), Contains("has 20 rounds of training behind it, this job has only 15"));
}

TEST_CASE("A checkpoint of another job is refused with the fields that differ") {
  Harness h;
  JobSpec other = Spec();
  other.mutable_train()->set_rounds(40);
  const auto refused = h.core().Submit(h.now(), Harness::Request(other), From(Spec(), {10})).status();
  CHECK(absl::IsFailedPrecondition(refused));
  CHECK_THAT(std::string(refused.message()), Contains("train.rounds: 40 here, 20 there (a training can get"));
  ResumePoint old = From(Spec(), {10});  // of format 1
  old.numerics_text.clear();
  CHECK_THAT(std::string(h.core().Submit(h.now(), Harness::Request(other), old).status().message()),
             Contains("model, data, optimizer, schedule, seed or slots differ"));
}

TEST_CASE("A resume without any intact checkpoint starts from the initial parameters and says so") {
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w = h.Join(NODE_ROLE_WORKER, "w");
  ResumePoint resume;
  resume.damaged = {{Version(10), "copies/version-10"}};
  h.Submit(Spec(), "id", resume);
  REQUIRE(h.checks().size() == 1);
  CHECK(h.checks()[0].checkpoint == "copies/version-10");
  h.Checked(kDamaged);
  h.Prepared(w, /*derived=*/true);
  h.Prepared(s);
  CHECK(h.CurrentView().restore().checkpoint().empty());
  CHECK(h.Said("the job starts from the initial parameters"));
  CHECK(h.Said("version-N.damaged"));
}

TEST_CASE("A commit carries what a resume compares") {
  Harness h;
  uint64_t w;
  const uint64_t s = StartPlain(&h, &w);
  h.Written(s, 0, 5);
  const CheckpointManifest& manifest = h.commits().back().manifest;
  CHECK(manifest.spec_sha256() == Sha256Hex(manifest.numerics_text()));
  CHECK(manifest.numerics_text() == NumericsText(PlainSpec()));
  CHECK(manifest.plan_sha256() == Sha256Hex(manifest.plan_text()));
  CHECK(manifest.plan_text() == PlanText(Plan()));
}

}  // namespace
}  // namespace shoal::scheduler
