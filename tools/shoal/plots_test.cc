#include "tools/shoal/plots.h"

#include <limits>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "catch2/catch.hpp"
#include "common/base/utf8.h"
#include "common/storage/file.h"
#include "common/storage/test_dir.h"
#include "tools/shoal/svg_chart.h"

namespace shoal::tools {
namespace {

using Catch::Matchers::Contains;

size_t Count(const std::string& text, const std::string& what) {
  size_t count = 0;
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++count;
  return count;
}

TEST_CASE("A line chart shows its finite points between round numbers") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const std::string chart =
      LineChart("a <b> & \"c\"", "round", {{{"one", {{0, 0.13}, {10, 0.87}, {20, nan}}}, {"none", {}}}});
  CHECK_THAT(chart, Contains("a &lt;b&gt; &amp; &quot;c&quot;"));
  CHECK(Count(chart, "<polyline") == 1);
  CHECK(Count(chart, "<circle") == 2);
  CHECK_THAT(chart, Contains(">0.1<") && Contains(">0.9<") && Contains(">10<") && !Contains("nan"));
  CHECK(LineChart("", "", {{{"nothing", {{nan, 1}}}}}).empty());
  // One point, or equal ones, have a place too.
  CHECK(Count(LineChart("", "", {{{"flat", {{5, 3}}}}}), "<circle") == 1);
  ChartLine many{"many", {}};
  for (int i = 0; i < 100000; ++i) many.points.push_back({double(i), double(i % 7)});
  CHECK(LineChart("", "", {{many}}).size() < 60000);
}

TEST_CASE("A line chart ends, whatever the values are") {
  const double sum = (.1 + .2 + .3) / 3, other = (.3 + .2 + .1) / 3;
  REQUIRE(sum != other);  // in the last digit
  const double values[][2] = {{sum, other},   {0.9999999999999998, 1}, {1.7e308, 1.6e308}, {1e99, -1e99},
                              {1e-300, 0},    {5e-324, 1e-323},        {-3, -3},           {0, 0},
                              {123456, 1e-9}, {1e15, 1e15 + 1}};
  for (const auto& pair : values) {
    INFO(pair[0] << " " << pair[1]);
    const std::string chart = LineChart("", "", {{{"", {{1, pair[0]}, {2, pair[1]}}}}});
    CHECK(chart.size() < 6000);
    CHECK(Count(chart, "nan") + Count(chart, "inf") == 0);
  }
}

TEST_CASE("A confusion matrix shows how often one label was taken for another") {
  const std::vector<std::string> labels = {"cat", "d<g"};
  const std::string chart = ConfusionChart("test", labels, {3, 1, 0, 4});
  CHECK_THAT(chart, Contains("<title>cat as d&lt;g: 1 of 4</title>") &&
                        Contains("<title>d&lt;g as d&lt;g: 4 of 4</title>"));
  CHECK(Count(chart, "<title>") == 3);  // none for what never happened
  CHECK(ConfusionChart("", {}, {}).empty());
  const std::vector<std::string> too_many(1000, "x");
  CHECK(ConfusionChart("", too_many, std::vector<uint64_t>(1000000)).empty());
}

TEST_CASE("A long label is cut between two of its characters") {
  const std::string chart = ConfusionChart("test", {"x標標標標標標標標標標"}, {1});
  CHECK(IsValidUtf8(chart));
  CHECK_THAT(chart, Contains(">x標標標標標標標...</text>"));
}

TEST_CASE("The plots of a job are those that it has values for") {
  const TestDir dir;
  Job job;
  job.mutable_spec()->set_name("tiny");
  job.mutable_spec()->set_task(TASK_TEXT_CLASSIFICATION);
  const std::string metrics =
      "{\"event\":\"log\",\"round\":5,\"loss\":1.5}\n{\"event\":\"log\",\"round\":10,\"loss\":null}\n"
      "{\"event\":\"evaluation\",\"set\":\"validation\",\"round\":10,\"loss\":1.2,\"accuracy\":0.5}\n"
      "{\"event\":\"evaluation\",\"set\":\"test\",\"round\":10,\"loss\":7,\"accuracy\":0.1}\n{broken";
  REQUIRE(WritePlots(PosixEnv(), dir / "plots", metrics, job).ok());
  CHECK(*PosixEnv()->ListDir(dir / "plots") == std::vector<std::string>{"accuracy.svg", "loss.svg"});
  const auto loss = PosixEnv()->ReadFile(dir / "plots/loss.svg");
  REQUIRE(loss.ok());
  CHECK(Count(*loss, "<polyline") == 2);
  CHECK(Count(*loss, "<circle") == 2);

  for (const char* label : {"a", "b"}) job.mutable_plan()->add_labels(label);
  EvaluationRecord& test = *job.add_evaluations();
  test.set_set(EVALUATION_SET_TEST);
  test.set_version(10);
  for (uint64_t count : {3, 1, 0, 4}) test.mutable_statistics()->add_confusion(count);
  REQUIRE(WritePlots(PosixEnv(), dir / "plots", metrics, job).ok());
  const auto confusion = PosixEnv()->ReadFile(dir / "plots/confusion.svg");
  REQUIRE(confusion.ok());
  CHECK_THAT(*confusion, Contains("tiny: test, version 10") && Contains("a as b: 1 of 4"));
}

}  // namespace
}  // namespace shoal::tools
