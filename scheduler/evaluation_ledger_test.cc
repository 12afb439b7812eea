#include "scheduler/evaluation_ledger.h"

#include <limits>
#include <map>
#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "scheduler/part_harness.h"

namespace shoal::scheduler {
namespace {

using Catch::Matchers::Contains;

// A job of 20 rounds that is evaluated every 10.
struct Fixture : Surroundings {
  JobDefinition job = Definition();
  EvaluationLedger ledger{context, job};

  SlotEvaluated Slot(uint64_t version, uint32_t slot, int right, double loss = 1) {
    SlotEvaluated report;
    report.set_version(version);
    report.set_set(EVALUATION_SET_VALIDATION);
    report.set_slot(slot);
    report.mutable_statistics()->set_examples(2);
    report.mutable_statistics()->set_loss(loss);
    for (int cell : {right, 0, 2 - right, 0}) report.mutable_statistics()->add_confusion(cell);
    return report;
  }
  EvaluationLedger::Verdict Evaluate(int right, double loss = 1) {
    const Target target = ledger.NextTarget();
    for (uint32_t slot = 0; slot < kSlots; ++slot)
      REQUIRE(ledger.AddSlot(target, Slot(target.version(), slot, right, loss)));
    REQUIRE(ledger.IsWhole(target));
    return ledger.Judge(now, target);
  }
};

TEST_CASE("Evaluations are due at each interval, and the last one at the end") {
  Fixture f;
  CHECK(f.ledger.NextTarget().version() == 10);
  CHECK_FALSE(f.Evaluate(1).ends_training);
  CHECK(f.ledger.NextTarget().version() == 20);
  CHECK(f.Evaluate(1).ends_training);
}

TEST_CASE("Without evaluation while training the target is the end") {
  Fixture f;
  f.job = Definition(PlainSpec());
  CHECK(f.ledger.NextTarget().version() == 20);
  CHECK(f.ledger.NextTarget().evaluate() == EVALUATION_SET_NONE);
}

TEST_CASE("Slots count once, and only for the evaluation that is due") {
  Fixture f;
  const Target target = f.ledger.NextTarget();
  CHECK(f.ledger.AddSlot(target, f.Slot(10, 0, 1)));
  CHECK_FALSE(f.ledger.AddSlot(target, f.Slot(10, 0, 1)));
  CHECK_FALSE(f.ledger.AddSlot(target, f.Slot(20, 1, 1)));
  CHECK_FALSE(f.ledger.AddSlot(target, f.Slot(10, kSlots, 1)));
  CHECK(f.ledger.slots() == 1);
  CHECK_FALSE(f.ledger.IsWhole(target));
  Target next = target;
  next.set_version(20);
  CHECK(f.ledger.AddSlot(next, f.Slot(20, 1, 1)));  // for another evaluation: the previous slots are void
  CHECK(f.ledger.slots() == 1);
}

TEST_CASE("A verdict is stored and reported, and says whether it is the best") {
  Fixture f;
  f.Evaluate(2);
  f.Evaluate(1);
  CHECK(f.All<Persist>().size() == 4);  // a record and an event each
  CHECK(f.ledger.BestSoFar()->version() == 10);
  CHECK(f.ledger.BestToKeep()->version() == 10);
  CHECK(f.ledger.HistoryBefore(Version(20)).evaluations_size() == 1);
  EvaluationLedger after(f.context, f.job);
  after.Load(Stored(f.ledger), f.ledger.all());
  CHECK(after.BestSoFar()->version() == 10);
  CHECK_FALSE(after.IsTested());
}

TEST_CASE("Of long statistics, those of the best version and the newest keep their counts") {
  constexpr int kLabels = 1024;  // 1 MiB
  Fixture f;
  f.job.mutable_spec()->mutable_evaluation()->mutable_every()->set_rounds(2);
  for (uint64_t version = 2; version <= 20; version += 2) {
    const Target target = f.ledger.NextTarget();
    SlotEvaluated long_one = f.Slot(version, 0, 1);
    EvaluationStatistics& statistics = *long_one.mutable_statistics();
    statistics.clear_confusion();
    statistics.mutable_confusion()->Resize(kLabels * kLabels, 0);
    statistics.set_confusion(version == 4 ? 0 : 1, 5);
    statistics.add_sums(0.5);
    REQUIRE(f.ledger.AddSlot(target, long_one));
    for (uint32_t slot = 1; slot < kSlots; ++slot) {
      SlotEvaluated report = f.Slot(version, slot, 1);
      report.mutable_statistics()->clear_confusion();
      REQUIRE(f.ledger.AddSlot(target, report));
    }
    f.ledger.Judge(f.now, target);
  }
  const auto check = [](const std::vector<EvaluationRecord>& all) {
    REQUIRE(all.size() == 10);
    size_t bytes = 0;
    for (const EvaluationRecord& record : all) {
      const EvaluationStatistics& statistics = record.statistics();
      const bool kept = record.version() == 4 || record.version() > 8;
      CHECK(statistics.confusion_size() == (kept ? kLabels * kLabels : 0));
      CHECK(statistics.sums_size() == 1);
      CHECK(statistics.examples() == 2 * kSlots);
      CHECK(record.metric() == (record.version() == 4 ? 1 : 0));
      bytes += record.ByteSizeLong();
    }
    CHECK(bytes <= EvaluationLedger::kMaxBytes);
  };
  check(f.ledger.all());
  std::map<std::string, EvaluationRecord> stored;
  for (const Persist& persist : f.All<Persist>()) {
    if (persist.record.table == kEvaluationTable)
      REQUIRE(stored[persist.record.key].ParseFromString(persist.record.value));
  }
  std::vector<EvaluationRecord> in_order;
  for (const auto& [key, record] : stored) in_order.push_back(record);
  check(in_order);
}

TEST_CASE("Training ends when the patience has run out") {
  Fixture f;
  f.job.mutable_spec()->mutable_evaluation()->mutable_every()->set_rounds(5);
  f.job.mutable_spec()->mutable_evaluation()->set_patience(1);
  CHECK_FALSE(f.Evaluate(1).ends_training);
  CHECK(f.Evaluate(1).ends_training);
}

TEST_CASE("A mean loss that is not finite fails the job and gives no verdict") {
  Fixture f;
  const EvaluationLedger::Verdict verdict = f.Evaluate(1, std::numeric_limits<double>::infinity());
  REQUIRE(verdict.failure);
  CHECK_THAT(*verdict.failure, Contains("version 10: the mean loss of the validation examples is inf"));
  CHECK(f.ledger.all().empty());
}

TEST_CASE("The best of an earlier job's verdicts can be kept only if its checkpoint exists") {
  Fixture f;
  ResumePoint resume;
  resume.metric = f.job.spec().evaluation().metric();
  for (const auto& [version, metric] : {std::pair(5, 0.9), std::pair(10, 0.5)}) {
    EvaluationRecord& record = resume.evaluations.emplace_back();
    record.set_set(EVALUATION_SET_VALIDATION);
    record.set_version(version);
    record.set_metric(metric);
  }
  f.ledger.Rejudge(resume, {Version(10)});
  CHECK(f.ledger.BestSoFar()->version() == 5);
  CHECK(f.ledger.BestToKeep()->version() == 10);
  CHECK(Stored(f.ledger).out_of_reach_size() == 1);
}

}  // namespace
}  // namespace shoal::scheduler
