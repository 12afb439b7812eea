// What follows from evaluations, and the effects of numbers that are not finite.
#include <cmath>
#include <limits>

#include "catch2/catch.hpp"
#include "scheduler/core_harness.h"

namespace shoal::scheduler {
namespace {

using Catch::Matchers::Contains;

JobSpec LanguageModelSpec() {
  JobSpec spec;
  spec.set_name("test");
  spec.set_task(TASK_CAUSAL_LANGUAGE_MODELLING);
  spec.mutable_data()->add_files("data.txt");
  spec.mutable_train()->set_rounds(20);
  spec.mutable_train()->set_slots(kSlots);
  spec.mutable_optimizer()->set_learning_rate(0.1);
  spec.mutable_evaluation()->mutable_every()->set_rounds(10);
  spec.mutable_evaluation()->set_metric(METRIC_PERPLEXITY);
  CompleteJob(&spec);
  return spec;
}

// Every slot of version's set reports the same statistics.
void EvaluatedAs(Harness* h, uint64_t worker, EvaluationSet set, uint64_t version,
                 const EvaluationStatistics& statistics) {
  for (uint32_t slot = 0; slot < kSlots; ++slot) {
    NodeReport report;
    SlotEvaluated& evaluated = *report.mutable_slot_evaluated();
    evaluated.set_job(1);
    evaluated.set_restore_id(h->CurrentView().restore().restore_id());
    evaluated.set_version(version);
    evaluated.set_set(set);
    evaluated.set_slot(slot);
    *evaluated.mutable_statistics() = statistics;
    REQUIRE(h->Report(worker, report).ok());
  }
}

void EvaluatedWith(Harness* h, uint64_t worker, uint64_t version, double loss) {
  EvaluationStatistics statistics;
  statistics.set_examples(1);
  statistics.set_predicted_tokens(1);
  statistics.set_loss(loss);
  EvaluatedAs(h, worker, EVALUATION_SET_VALIDATION, version, statistics);
}

TEST_CASE("The target moves only after the verdict, which needs every slot") {
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

TEST_CASE("Training stops early when the patience has run out") {
  JobSpec spec = Spec();
  spec.mutable_evaluation()->mutable_every()->set_rounds(5);
  spec.mutable_evaluation()->set_patience(1);
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w = h.Join(NODE_ROLE_WORKER, "w");
  h.Start({s}, {w}, spec);
  h.Reached(s, 0, 5);
  h.EvaluatedAll(w, EVALUATION_SET_VALIDATION, 5, 2);
  h.Reached(s, 0, 10);
  h.EvaluatedAll(w, EVALUATION_SET_VALIDATION, 10, 1);
  CHECK(h.GetJob().state() == JOB_STATE_TESTING);
}

TEST_CASE("Job lists and the status carry no verdicts") {
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w = h.Join(NODE_ROLE_WORKER, "w");
  h.Start(s, w);
  h.Reached(s, 0, 10);
  h.EvaluatedAll(w, EVALUATION_SET_VALIDATION, 10);
  REQUIRE(h.GetJob().evaluations_size() == 1);
  CHECK(h.GetJob().evaluations(0).has_statistics());
  for (const Job& job : {h.core().ListJobs().at(0), h.core().GetStatus(h.now()).jobs(0)})
    CHECK(job.evaluations().empty());
}

TEST_CASE("A job of 2,000 labels fits into a message, however often it is evaluated") {
  constexpr int kLabels = 2000;
  EvaluationStatistics statistics;
  statistics.set_examples(kLabels);
  statistics.mutable_confusion()->Resize(kLabels * kLabels, 0);
  for (int label = 0; label < kLabels; ++label) statistics.set_confusion(label * kLabels + label, 1);
  JobSpec spec = Spec();
  spec.mutable_evaluation()->mutable_every()->set_rounds(5);
  spec.mutable_evaluation()->set_keep_best(false);
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w = h.Join(NODE_ROLE_WORKER, "w");
  h.Start({s}, {w}, spec);
  for (uint64_t version : {5, 10, 15, 20}) {
    h.Reached(s, 0, version);
    EvaluatedAs(&h, w, EVALUATION_SET_VALIDATION, version, statistics);
  }
  h.Written(s, 0, 20);
  h.CommitLast();
  EvaluatedAs(&h, w, EVALUATION_SET_TEST, 20, statistics);
  for (int i = 0; i < 2; ++i) {
    const Job job = h.GetJob();
    CHECK(job.ByteSizeLong() < size_t{16} << 20);
    REQUIRE(job.evaluations_size() == 5);
    CHECK(job.evaluations(0).best());
    for (const EvaluationRecord& record : job.evaluations()) {
      const bool needed = record.version() == 5 || record.set() == EVALUATION_SET_TEST;
      CHECK(record.statistics().confusion().empty() != needed);
      CHECK(record.statistics().examples() == kLabels * kSlots);
      CHECK(record.metric() == 1);
    }
    h.Restart();
  }
}

TEST_CASE("A slot without a finite loss ends the job, and names round and slot") {
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w = h.Join(NODE_ROLE_WORKER, "w");
  h.Start(s, w);
  NodeReport report;
  SlotFailed& failed = *report.mutable_slot_failed();
  failed.set_job(1);
  failed.set_restore_id(0);
  failed.set_round(7);
  failed.set_slot(2);
  failed.set_reason("the loss is not a number");
  REQUIRE(h.Report(w, report).ok());
  CHECK(h.GetJob().state() == JOB_STATE_RUNNING);  // from before the job went back
  failed.set_restore_id(h.CurrentView().restore().restore_id());
  SECTION("in training") {
    REQUIRE(h.Report(w, report).ok());
    CHECK(h.GetJob().reason() == "round 7, slot 2: the loss is not a number");
  }
  SECTION("in an evaluation") {
    failed.set_set(EVALUATION_SET_VALIDATION);
    REQUIRE(h.Report(w, report).ok());
    CHECK(h.GetJob().reason() == "evaluation after round 7, slot 2: the loss is not a number");
  }
  CHECK(h.GetJob().state() == JOB_STATE_FAILED);
  CHECK(h.Last(w, Directive::kCloseJob) != nullptr);
}

TEST_CASE("A round whose statistics are not finite ends the job") {
  Harness h;
  uint64_t w;
  const uint64_t s = StartPlain(&h, &w);
  NodeReport report;
  ShardProgress& progress = *report.mutable_shard_progress();
  progress.set_job(1);
  progress.set_view(h.CurrentView().view());
  progress.set_version(1);
  progress.add_rounds()->mutable_stats()->set_loss(std::numeric_limits<double>::infinity());
  REQUIRE(h.Report(s, report).ok());
  CHECK(h.GetJob().state() == JOB_STATE_FAILED);
  CHECK_THAT(h.GetJob().reason(), Contains("round 0"));
}

TEST_CASE("A metric that overflows though the loss is finite is never the best, and ends nothing") {
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w = h.Join(NODE_ROLE_WORKER, "w");
  h.Submit(LanguageModelSpec());
  h.Prepared(w, /*derived=*/true);
  h.Prepared(s);
  h.Installed(s, 1);
  const bool first_overflows = GENERATE(true, false);
  h.Reached(s, 0, 10);
  EvaluatedWith(&h, w, 10, first_overflows ? 1e6 : 1);  // e to a million
  h.Reached(s, 0, 20);
  EvaluatedWith(&h, w, 20, first_overflows ? 1 : 1e6);
  const Job job = h.GetJob();
  CHECK(job.state() == JOB_STATE_TESTING);
  REQUIRE(job.evaluations_size() == 2);
  CHECK(std::isinf(job.evaluations(first_overflows ? 0 : 1).metric()));
  CHECK_FALSE(job.evaluations(first_overflows ? 0 : 1).best());
  CHECK(job.evaluations(first_overflows ? 1 : 0).best());
}

TEST_CASE("An evaluation whose mean loss is not finite ends the job, and is not the best") {
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w = h.Join(NODE_ROLE_WORKER, "w");
  h.Submit(LanguageModelSpec());
  h.Prepared(w, /*derived=*/true);
  h.Prepared(s);
  h.Installed(s, 1);
  h.Reached(s, 0, 10);
  EvaluatedWith(&h, w, 10, 1);
  h.Reached(s, 0, 20);
  EvaluatedWith(&h, w, 20, std::nan(""));
  CHECK(h.GetJob().state() == JOB_STATE_FAILED);
  CHECK_THAT(h.GetJob().reason(), Contains("version 20: the mean loss of the validation examples is"));
  CHECK(h.GetJob().evaluations_size() == 1);
}

TEST_CASE(
    "Parameters that are not finite end the job only if they are the result; else a checkpoint is skipped") {
  Harness h;
  uint64_t w;
  const uint64_t s = StartPlain(&h, &w);
  h.Written(s, 0, 5, "block 3: a parameter is infinite or not a number", /*not_finite=*/true);
  CHECK(h.GetJob().state() == JOB_STATE_RUNNING);
  CHECK(h.Said("checkpoint of version 5 could not be written: block 3"));
  h.Reached(s, 0, 20);
  h.Written(s, 0, 20, "block 3: a parameter is infinite or not a number", /*not_finite=*/true);
  CHECK(h.GetJob().state() == JOB_STATE_FAILED);
  CHECK_THAT(h.GetJob().reason(), Contains("version 20, the result: block 3: a parameter is infinite"));
}

// Statistics of intents: of the texts in scope all are right with a high probability, and of those out of
// scope this many have a low one.
EvaluationStatistics Intents(int low) {
  constexpr int kBins = 1000, kCells = 3;
  EvaluationStatistics statistics;
  statistics.set_examples(2);
  statistics.set_predicted_tokens(1);
  for (int i = 0; i < kBins * kCells; ++i) statistics.add_confusion(0);
  statistics.set_confusion(900 * kCells, 1);
  statistics.set_confusion(low * kCells + 2, 1);
  return statistics;
}

TEST_CASE("The test is judged by the threshold of the validation of its version, not by its own") {
  const bool validated = GENERATE(true, false);
  JobSpec spec = Spec();
  spec.set_task(TASK_INTENT_CLASSIFICATION);
  spec.mutable_evaluation()->set_metric(METRIC_ACCURACY);
  spec.mutable_evaluation()->set_keep_best(false);
  if (!validated) spec.mutable_evaluation()->mutable_every()->set_never(true);
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w = h.Join(NODE_ROLE_WORKER, "w");
  h.Start({s}, {w}, spec);
  for (uint64_t version : {10, 20}) {
    h.Reached(s, 0, version);
    if (validated) EvaluatedAs(&h, w, EVALUATION_SET_VALIDATION, version, Intents(/*low=*/300));
  }
  h.Written(s, 0, 20);
  h.CommitLast();
  EvaluatedAs(&h, w, EVALUATION_SET_TEST, 20, Intents(/*low=*/800));
  REQUIRE(h.GetJob().evaluations_size() == (validated ? 3 : 1));
  const EvaluationStatistics test = h.GetJob().evaluations(validated ? 2 : 0).statistics();
  REQUIRE(test.sums_size() == 1);
  CHECK(test.sums(0) == (validated ? 0.301 : 0));  // 0.801 would be best for the test
}

}  // namespace
}  // namespace shoal::scheduler
