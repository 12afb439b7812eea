#include "tools/shoal/report.h"

#include <algorithm>
#include <limits>

#include "catch2/catch.hpp"
#include "common/protocol/queue_length.h"
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

std::string PrintedStatus(const ClusterStatus& status) {
  return PrintedText([&](std::FILE* out) { PrintStatus(status, out); });
}

std::string PrintedJob(const Job& job) {
  return PrintedText([&](std::FILE* out) { PrintJobs({job}, out); });
}

Job QueuedJob() {
  Job job;
  job.set_job(1);
  job.set_name("tiny");
  job.set_state(JOB_STATE_QUEUED);
  return job;
}

// A cluster with one server, which reads everything.
ClusterStatus MakeStatus() {
  ClusterStatus status;
  NodeStatus& node = *status.add_nodes();
  node.mutable_node()->set_name("server-1");
  node.set_role(NODE_ROLE_SERVER);
  node.set_max_unread_directive_bytes(64 << 20);
  AddQueue("streams", 4, 8192, node.mutable_queues());
  AddQueue("snapshots", 0, 3, node.mutable_queues());
  AddQueue("watchers", 1, 256, status.mutable_queues());
  return status;
}

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
  const auto print = [&] { return PrintedStatus(status); };
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

TEST_CASE("A job shows how much a worker sends and receives in a round") {
  Job job = QueuedJob();
  CHECK_THAT(PrintedJob(job), Contains("MB/round"));
  CHECK(JobJson(job)["bytes_per_round"].is_null());
  job.set_parameters(77000);
  job.set_bytes_per_round(616000);
  CHECK_THAT(PrintedJob(job), Contains(" 0.62 "));
  CHECK(JobJson(job)["parameters"] == 77000);
  CHECK(JobJson(job)["bytes_per_round"] == 616000);
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

TEST_CASE("A label without examples has dashes in the table, and null for scripts") {
  EvaluationStatistics statistics;
  for (int cell : {3, 0, 0, 0}) statistics.add_confusion(cell);
  const std::vector<std::string> labels = {"seen", "rare"};
  const std::string printed = PrintedText(
      [&](std::FILE* out) { PrintEvaluation(TASK_TEXT_CLASSIFICATION, labels, statistics, out); });
  CHECK_THAT(printed, Contains("\nseen       1.000   1.000   1.000         3\n") &&
                          Contains("\nrare           -       -       -         0\n"));
  Json json;
  AddLabels(TASK_TEXT_CLASSIFICATION, labels, statistics, &json);
  CHECK(json["labels"][0]["f1"] == 1);
  for (const char* ratio : {"precision", "recall", "f1"}) CHECK(json["labels"][1][ratio].is_null());
  CHECK_FALSE(json.contains("averages"));
}

TEST_CASE("Averages are beside the labels, which may have the same names") {
  EvaluationStatistics statistics;
  for (int cell : {3, 1, 0, 1, 0, 1, 8, 9}) statistics.add_confusion(cell);
  const std::vector<std::string> labels = {"B-macro average", "B-PER", "I-macro average", "I-PER", "O"};
  const std::string printed = PrintedText(
      [&](std::FILE* out) { PrintEvaluation(TASK_TOKEN_CLASSIFICATION, labels, statistics, out); });
  CHECK_THAT(printed, Contains("support\n") && Contains("\nweighted average "));
  Json json;
  AddLabels(TASK_TOKEN_CLASSIFICATION, labels, statistics, &json);
  REQUIRE(json["labels"].size() == 2);
  CHECK(json["labels"][1]["label"] == "macro average");
  REQUIRE(json["averages"].size() == 3);
  CHECK(json["averages"][0]["support"] == 5);
}

TEST_CASE("A metric that has no value is a dash") {
  const std::string printed = PrintedText([](std::FILE* out) {
    PrintEvaluation(TASK_MULTILABEL_CLASSIFICATION, {"a", "b"}, {}, out);
  });
  CHECK_THAT(printed, Contains("micro_f1 -  macro_f1 -  "));
  EvaluationRecord evaluation;
  evaluation.set_metric(std::numeric_limits<double>::quiet_NaN());
  JobEvent event;
  *event.mutable_evaluation() = evaluation;
  CHECK_THAT(EventText(Job(), event), Contains("accuracy -  loss"));
}

TEST_CASE("A report has the metric of an evaluation whose counts were dropped") {
  Job job = QueuedJob();
  EvaluationRecord& evaluation = *job.add_evaluations();
  evaluation.set_set(EVALUATION_SET_VALIDATION);
  evaluation.set_metric(0.75);
  evaluation.mutable_statistics()->set_examples(4);
  const Json entry = ReportJson(job)["validation"][0];
  CHECK(entry["accuracy"] == 0.75);
  CHECK(entry["macro_f1"].is_null());
  CHECK(entry["examples"] == 4);
}

TEST_CASE("A status says how many jobs that have ended it leaves out") {
  ClusterStatus status;
  CHECK_THAT(PrintedStatus(status), !Contains("older"));
  status.set_older_jobs(7);
  CHECK_THAT(PrintedStatus(status), Contains("\nand 7 older ones that have ended (shoal jobs)\n"));
  CHECK(StatusJson(status)["older_jobs"] == 7);
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

TEST_CASE("What a job does not have yet is null, and a dash for people") {
  Job job = QueuedJob();
  for (const char* field : {"rounds", "loss", "examples_per_second", "ended_unix_ms"}) {
    INFO(field);
    CHECK(JobJson(job)[field].is_null());
  }
  CHECK_THAT(PrintedJob(job), Contains(" -  ") && !Contains("0.0000") && !Contains("0/0"));
  job.set_rounds(10);
  job.set_loss(0.5);
  job.set_examples_per_second(100);
  CHECK(JobJson(job)["rounds"] == 10);
  CHECK(JobJson(job)["loss"] == 0.5);
  CHECK(JobJson(job)["examples_per_second"] == 100);
  CHECK_THAT(PrintedJob(job), Contains("0/10          -    0.5000"));
}

TEST_CASE("The report of a job without a result has all of its fields, and null for what it lacks") {
  Job job = QueuedJob();
  job.set_state(JOB_STATE_FAILED);
  for (const char* field : {"parameters_sha256", "version", "rounds", "seconds", "examples_per_second"}) {
    INFO(field);
    REQUIRE(ReportJson(job).contains(field));
    CHECK(ReportJson(job)[field].is_null());
  }
  job.mutable_result()->set_examples(100);
  job.mutable_result()->set_train_seconds(2);
  CHECK(ReportJson(job)["examples_per_second"] == 50);
  CHECK(ReportJson(job)["stopped_early"] == false);
}

TEST_CASE("A node without a job has null in its place") {
  ClusterStatus status;
  status.add_nodes();
  status.add_nodes()->set_job(3);
  const Json nodes = StatusJson(status)["nodes"];
  CHECK(nodes[0]["job"].is_null());
  CHECK(nodes[1]["job"] == 3);
}

TEST_CASE("The status says what a node has not read, and nothing of the kind when it reads everything") {
  ClusterStatus status = MakeStatus();
  const std::string reads = PrintedStatus(status);
  CHECK_THAT(reads, Contains("server-1"));
  CHECK_THAT(reads, !Contains("directives"));
  status.mutable_nodes(0)->set_unread_directive_bytes(70000);
  CHECK_THAT(PrintedStatus(status), Contains("\n  has not read 70000 bytes of directives, at most 64MiB\n"));
}

TEST_CASE("For scripts, the status has all queues with their limits") {
  ClusterStatus status = MakeStatus();
  status.mutable_nodes(0)->set_unread_directive_bytes(70000);
  const Json json = StatusJson(status);
  const Json& node = json["nodes"][0];
  CHECK(node["unread_directive_bytes"] == 70000);
  CHECK(node["max_unread_directive_bytes"] == 64 << 20);
  REQUIRE(node["queues"].size() == 2);
  CHECK(node["queues"][0]["name"] == "streams");
  CHECK(node["queues"][0]["length"] == 4);
  CHECK(node["queues"][0]["limit"] == 8192);
  CHECK(node["queues"][1]["length"] == 0);
  CHECK(json["queues"][0]["name"] == "watchers");
}

}  // namespace
}  // namespace shoal::tools
