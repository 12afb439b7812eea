#include "tools/shoal/report.h"

#include <algorithm>
#include <limits>

#include "catch2/catch.hpp"
#include "proto/scheduler.pb.h"
#include "tools/shoal/printed_text.h"
#include "tools/shoal/progress.h"

namespace shoal::tools {
namespace {

using Catch::Matchers::Contains;
using Catch::Matchers::EndsWith;

// Clears the screen, and adds a line.
constexpr char kEvil[] = "\x1b[2J\nevil";

size_t LinesOf(const std::string& text) { return std::count(text.begin(), text.end(), '\n'); }

TEST_CASE("Values that only a newer scheduler knows are shown as numbers") {
  CHECK(StateName(JOB_STATE_RUNNING) == "running");
  CHECK(StateName(static_cast<JobState>(99)) == "unknown (99)");
  CHECK(SetName(EVALUATION_SET_TEST) == "test");
  CHECK(SetName(static_cast<EvaluationSet>(7)) == "unknown (7)");
  ClusterStatus status;
  Activity& activity = *status.add_nodes()->add_activities();
  activity.set_kind(ACTIVITY_COMPUTE);
  CHECK(StatusJson(status)["nodes"][0]["activities"][0]["kind"] == "compute");
  activity.set_kind(static_cast<ActivityKind>(77));
  CHECK(StatusJson(status)["nodes"][0]["activities"][0]["kind"] == "unknown (77)");
}

TEST_CASE("What nodes say neither rewrites the terminal nor adds lines to the status") {
  ClusterStatus status;
  NodeStatus& node = *status.add_nodes();
  const auto print = [&] { return PrintedText([&](std::FILE* out) { PrintStatus(status, out); }); };
  node.add_activities()->set_idle_seconds(2);
  node.add_unreachable();
  status.add_jobs();
  status.add_stalls("job 1");
  const size_t lines = LinesOf(print());
  for (std::string* text : {node.mutable_node()->mutable_name(), node.mutable_node()->mutable_address(),
                            node.mutable_detail(), node.mutable_activities(0)->mutable_detail(),
                            node.mutable_unreachable(0)->mutable_peer()->mutable_name(),
                            node.mutable_unreachable(0)->mutable_error(),
                            status.mutable_jobs(0)->mutable_name(), status.mutable_jobs(0)->mutable_reason(),
                            status.mutable_stalls(0), status.mutable_build(), status.mutable_cluster_id()}) {
    *text = kEvil;
    const std::string printed = print();
    CHECK_THAT(printed, Contains("?[2J ev"));
    CHECK(printed.find('\x1b') == printed.npos);
    CHECK(LinesOf(printed) == lines);
    text->clear();
  }
}

TEST_CASE("An event is one line, whatever it says") {
  JobEvent event;
  event.set_message(kEvil);
  CHECK(EventText(Job(), event) == "?[2J evil");
  CHECK(LogLine(Job(), event) == "1970-01-01T00:00:00Z ?[2J evil");
  event.mutable_state()->set_reason(kEvil);
  CHECK(EventText(Job(), event) == "job is unspecified: ?[2J evil");
  CHECK(LogLine(Job(), JobEvent()).empty());
}

TEST_CASE("A long label does not widen the other rows of its table") {
  EvaluationStatistics statistics;
  for (int cell : {1, 0, 0, 1}) statistics.add_confusion(cell);
  const std::string longest(100000, 'x');
  const std::string printed = PrintedText([&](std::FILE* out) {
    PrintEvaluation(TASK_TEXT_CLASSIFICATION, {"short", longest}, statistics, out);
  });
  CHECK_THAT(printed, Contains(longest));
  CHECK(printed.size() < longest.size() + 1000);
}

TEST_CASE("The time left is shown once the speed is known") {
  Job job;
  job.mutable_spec()->mutable_train()->set_slots(4);
  job.mutable_spec()->mutable_train()->set_slot_batch(8);
  job.mutable_plan()->set_rounds(10);
  JobEvent event;
  MetricRecord& progress = *event.mutable_progress();
  progress.set_round(5);
  progress.set_examples_per_second(2);
  CHECK_THAT(EventText(job, event), EndsWith(", 1m20s left"));
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  for (double speed : {0.0, -1.0, 1e-300, std::numeric_limits<double>::denorm_min(), kNan, -kInfinity}) {
    progress.set_examples_per_second(speed);
    CHECK_THAT(EventText(job, event), EndsWith("examples/s"));
  }
  job.mutable_plan()->set_rounds(std::numeric_limits<uint64_t>::max());
  progress.set_examples_per_second(2);
  CHECK_THAT(EventText(job, event), EndsWith("examples/s"));
}

}  // namespace
}  // namespace shoal::tools
