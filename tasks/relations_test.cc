#include "tasks/relations.h"

#include <string>
#include <utility>
#include <vector>

#include "catch2/catch.hpp"
#include "tasks/registry.h"
#include "tasks/statistics.h"

namespace shoal::tasks {
namespace {

using Catch::Matchers::Contains;

const std::vector<std::string> kLabels = {"Cause(e1,e2)", "Cause(e2,e1)", "Other", "Whole(e1,e2)",
                                          "Whole(e2,e1)"};

const Task& RelationTask() { return *FindTask(TASK_RELATION_EXTRACTION); }

// Of examples with these true and predicted labels.
EvaluationStatistics Count(const std::vector<std::pair<int, int>>& examples) {
  EvaluationStatistics statistics;
  for (const auto& [truth, prediction] : examples) {
    std::vector<float> logits(kLabels.size());
    logits[prediction] = 1;
    const std::vector<int32_t> offsets = {0, 1}, classes = {truth};
    Outcome outcome;
    outcome.labels = kLabels;
    outcome.offsets = offsets;
    outcome.logits = logits;
    outcome.classes = classes;
    outcome.loss_rows = 1;
    EvaluationStatistics one;
    RelationTask().Count(outcome, &one);
    AddStatistics(one, &statistics);
  }
  return statistics;
}

TEST_CASE("Models see markers that vocabularies have as pieces") {
  CHECK(WithPlainMarkers("The <e1>cat</e1> on a <e2>mat</e2>.") == "The $ cat $ on a # mat #.");
  CHECK(WithPlainMarkers("The $ cat $") == "The $ cat $");
}

TEST_CASE("A text has one part with each marker") {
  CHECK(CheckMarkers("The <e1>ear</e1> of an <e2>ox</e2>").ok());
  CHECK(CheckMarkers("<e2>ox</e2><e1>ear</e1>").ok());
  for (const char* text :
       {"", "<e1>ear</e1>", "<e2>ox</e2>", "<e1>ear <e2>ox</e2>", "</e1>ear<e1> <e2>ox</e2>",
        "<e1>a</e1> <e1>b</e1> <e2>ox</e2>", "<e1></e1> <e2>ox</e2>"}) {
    INFO(text);
    CHECK_THAT(std::string(CheckMarkers(text).message()), Contains("expected one part of the text between"));
  }
  CHECK_THAT(std::string(CheckMarkers("<e1>an <e2>ox</e2></e1>").message()), Contains("overlap"));
}

TEST_CASE("An example without markers is refused, whatever its format") {
  Example example;
  example.text = "no part is marked";
  CHECK_FALSE(RelationTask().ReadLabels({"Other"}, &example).ok());
  example.text = "<e1>a</e1> <e2>b</e2>";
  CHECK(RelationTask().ReadLabels({"Other"}, &example).ok());
  CHECK_FALSE(RelationTask().ReadLabels({""}, &example).ok());
}

TEST_CASE("A job without a relation besides Other is refused") {
  ExampleSet training;
  for (const char* label : {"Other", "other"}) {
    training.examples.emplace_back();
    training.examples.back().labels = {label};
  }
  CHECK_FALSE(RelationTask().LabelsOf(DataSpec(), training).ok());
}

TEST_CASE("Labels of both directions are one relation, and Other is none") {
  CHECK(RelationsOf(kLabels) == std::vector<std::string>{"Cause", "Whole"});
  CHECK(RelationOf("Member-Collection(e2,e1)") == "Member-Collection");
  CHECK(RelationOf("other").empty());
  CHECK(RelationOf("sibling") == "sibling");  // without a direction
  CHECK(RelationOf("born in (city)") == "born in (city)");
}

TEST_CASE(
    "A relation is right only with its direction; the other one counts as a mistake of the same relation") {
  // Cause: 2 of 4 predictions and of 3 examples are right. Whole: 1 of 1 and of 2.
  const EvaluationStatistics statistics = Count({{0, 0}, {1, 1}, {0, 1}, {2, 0}, {2, 2}, {3, 3}, {4, 2}});
  const double cause = 2 * (2.0 / 4) * (2.0 / 3) / (2.0 / 4 + 2.0 / 3), whole = 2 * 1 * 0.5 / 1.5;
  CHECK(RelationTask().MetricValue(METRIC_MACRO_F1, statistics) == Approx((cause + whole) / 2));
  CHECK(RelationTask().MetricValue(METRIC_ACCURACY, statistics) == Approx(4.0 / 7));
  const LabelTable table = RelationTask().ReportLabels(kLabels, statistics);
  REQUIRE(table.labels.size() == 2);
  CHECK(table.labels[0].label == "Cause");
  CHECK(table.labels[0].f1 == Approx(cause));
  CHECK(table.labels[0].support == 3);
  CHECK(table.labels[0].predicted == 4);
  REQUIRE(table.averages.size() == 2);
  CHECK(table.averages[0].f1 == Approx(2 * 0.6 * 0.6 / 1.2));  // 3 of 5, and 3 of 5
}

TEST_CASE("Where all is Other there is no F1") {
  const EvaluationStatistics statistics = Count({{2, 2}});
  CHECK(std::isnan(RelationTask().MetricValue(METRIC_MACRO_F1, statistics)));
  CHECK(RelationTask().MetricValue(METRIC_ACCURACY, statistics) == 1);
}

}  // namespace
}  // namespace shoal::tasks
