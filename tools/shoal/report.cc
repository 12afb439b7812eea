#include "tools/shoal/report.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "common/base/plain_text.h"
#include "common/base/units.h"
#include "common/job/job_spec.h"
#include "tasks/registry.h"
#include "tasks/statistics.h"

namespace shoal::tools {
namespace {

// How much of a cluster's id is shown: enough to tell two clusters apart.
constexpr size_t kShownIdCharacters = 8;
constexpr double kMega = 1e6;  // bytes
// The width of a table's column of labels. A longer label shifts its row; as the width of all rows, one such
// label among thousands would make the table gigabytes long.
constexpr size_t kMinLabelWidth = 5, kMaxLabelWidth = 60;

// "running" for JOB_STATE_RUNNING. A scheduler of a newer release may send a number without a name.
std::string LowerName(absl::string_view name, absl::string_view prefix, int number) {
  if (!absl::ConsumePrefix(&name, prefix)) return absl::StrCat("unknown (", number, ")");
  return absl::AsciiStrToLower(name);
}

Json ValueOrNull(bool exists, Json value) { return exists ? std::move(value) : Json(nullptr); }

Json NumberOrNull(double value) { return ValueOrNull(std::isfinite(value), value); }

// Whether a log interval has passed: loss and speed say so, since each alone may really be 0.
bool HasMetrics(const Job& job) { return job.loss() != 0 || job.examples_per_second() != 0; }

std::vector<Metric> MetricsToReport(TaskType type) {
  const tasks::Task* const task = tasks::FindTask(type);
  return task == nullptr ? std::vector<Metric>() : task->reported_metrics();
}

tasks::LabelTable ReportLabels(TaskType type, const std::vector<std::string>& labels,
                               const EvaluationStatistics& statistics) {
  const tasks::Task* const task = tasks::FindTask(type);
  return task == nullptr ? tasks::LabelTable() : task->ReportLabels(labels, statistics);
}

Json RowsJson(const std::vector<tasks::LabelReport>& rows) {
  Json json = Json::array();
  for (const tasks::LabelReport& row : rows) {
    json.push_back({{"label", row.label},
                    {"precision", NumberOrNull(row.precision)},
                    {"recall", NumberOrNull(row.recall)},
                    {"f1", NumberOrNull(row.f1)},
                    {"support", row.support}});
  }
  return json;
}

const EvaluationRecord* TestRecord(const Job& job) {
  for (const EvaluationRecord& evaluation : job.evaluations()) {
    if (evaluation.set() == EVALUATION_SET_TEST) return &evaluation;
  }
  return nullptr;
}

std::vector<std::string> LabelsOf(const Job& job) {
  return {job.plan().labels().begin(), job.plan().labels().end()};
}

// What is null for a job without a result.
Json ResultJson(const Job& job) {
  const JobResult& result = job.result();
  const double seconds = std::max(result.train_seconds(), 1e-9);
  Json json = {{"parameters_sha256", result.parameters_sha256()},
               {"version", result.version()},
               {"rounds", result.rounds()},
               {"stopped_early", result.stopped_early()},
               {"skipped_rounds", result.skipped_rounds()},
               {"seconds", result.train_seconds()},
               {"examples", result.examples()},
               {"tokens", result.tokens()},
               {"examples_per_second", static_cast<double>(result.examples()) / seconds},
               {"tokens_per_second", static_cast<double>(result.tokens()) / seconds}};
  for (Json& value : json) value = ValueOrNull(job.has_result(), std::move(value));
  return json;
}

}  // namespace

std::string StateName(JobState state) {
  return LowerName(JobState_Name(state), "JOB_STATE_", static_cast<int>(state));
}

std::string NumberOrDash(double value, int digits) {
  return std::isnan(value) ? "-" : absl::StrFormat("%.*f", digits, value);
}

std::string SetName(EvaluationSet set) {
  return LowerName(EvaluationSet_Name(set), "EVALUATION_SET_", static_cast<int>(set));
}

Json EvaluationJson(TaskType task, const EvaluationStatistics& statistics) {
  Json json;
  for (Metric metric : MetricsToReport(task))
    json[MetricName(metric)] = NumberOrNull(tasks::MetricValue(task, metric, statistics));
  json["loss"] = NumberOrNull(tasks::MeanLoss(statistics));
  json["examples"] = statistics.examples();
  return json;
}

void AddLabels(TaskType task, const std::vector<std::string>& labels, const EvaluationStatistics& statistics,
               Json* json) {
  const tasks::LabelTable table = ReportLabels(task, labels, statistics);
  (*json)["labels"] = RowsJson(table.labels);
  if (!table.averages.empty()) (*json)["averages"] = RowsJson(table.averages);
}

Json MetricsLine(const JobSpec& spec, const JobEvent& event) {
  if (event.has_metric()) {
    const MetricRecord& metric = event.metric();
    return {{"event", "log"},
            {"round", metric.round()},
            {"epoch", metric.epoch()},
            {"loss", NumberOrNull(metric.loss())},
            {"learning_rate", metric.learning_rate()},
            {"gradient_norm", NumberOrNull(metric.gradient_norm())},
            {"skipped", metric.skipped()},
            {"examples_per_second", metric.examples_per_second()},
            {"tokens_per_second", metric.tokens_per_second()},
            {"unix_ms", event.unix_ms()}};
  }
  if (!event.has_evaluation()) return nullptr;
  const EvaluationRecord& evaluation = event.evaluation();
  Json line = {{"event", "evaluation"}, {"set", SetName(evaluation.set())}, {"round", evaluation.version()}};
  line.update(EvaluationJson(spec.task(), evaluation.statistics()));
  line["best"] = evaluation.best();
  line["unix_ms"] = event.unix_ms();
  return line;
}

Json ReportJson(const Job& job) {
  Json json = {{"job", job.job()},
               {"name", job.name()},
               {"state", StateName(job.state())},
               {"reason", job.reason()},
               {"seed", job.spec().seed()}};
  json.update(ResultJson(job));
  json["train_examples"] = ValueOrNull(job.has_plan(), job.plan().train_examples());
  json["servers"] = job.view().shards_size();
  json["workers"] = job.view().slots_size();
  if (const EvaluationRecord* test = TestRecord(job)) {
    json["test"] = EvaluationJson(job.spec().task(), test->statistics());
    AddLabels(job.spec().task(), LabelsOf(job), test->statistics(), &json);
  }
  json["validation"] = Json::array();
  for (const EvaluationRecord& evaluation : job.evaluations()) {
    if (evaluation.set() != EVALUATION_SET_VALIDATION) continue;
    Json entry = {{"round", evaluation.version()}};
    entry.update(EvaluationJson(job.spec().task(), evaluation.statistics()));
    // Known even where the counts are not (Job.evaluations).
    entry[MetricName(job.spec().evaluation().metric())] = NumberOrNull(evaluation.metric());
    entry["best"] = evaluation.best();
    json["validation"].push_back(std::move(entry));
  }
  return json;
}

void PrintEvaluation(TaskType task, const std::vector<std::string>& labels,
                     const EvaluationStatistics& statistics, std::FILE* out) {
  const tasks::LabelTable table = ReportLabels(task, labels, statistics);
  size_t width = kMinLabelWidth;
  for (const auto* rows : {&table.labels, &table.averages}) {
    for (const tasks::LabelReport& row : *rows)
      width = std::max(width, std::min(row.label.size(), kMaxLabelWidth));
  }
  if (!table.labels.empty())
    absl::FPrintF(out, "%-*s  precision  recall      f1   support\n", static_cast<int>(width), "label");
  for (const auto* rows : {&table.labels, &table.averages}) {
    for (const tasks::LabelReport& row : *rows) {
      absl::FPrintF(out, "%-*s  %9s  %6s  %6s  %8d\n", static_cast<int>(width), PlainLine(row.label),
                    NumberOrDash(row.precision, 3), NumberOrDash(row.recall, 3), NumberOrDash(row.f1, 3),
                    row.support);
    }
  }
  for (Metric metric : MetricsToReport(task))
    absl::FPrintF(out, "%s %s  ", MetricName(metric),
                  NumberOrDash(tasks::MetricValue(task, metric, statistics), 4));
  absl::FPrintF(out, "loss %.4f  (%d examples)\n", tasks::MeanLoss(statistics), statistics.examples());
}

void PrintReport(const Job& job, std::FILE* out) {
  const JobResult& result = job.result();
  if (const EvaluationRecord* test = TestRecord(job)) {
    absl::FPrintF(out, "\nTest, version %d:\n", result.version());
    PrintEvaluation(job.spec().task(), LabelsOf(job), test->statistics(), out);
  }
  absl::FPrintF(out, "%d rounds%s in %.1f s, %.0f examples/s; parameters %s of version %d\n", result.rounds(),
                result.stopped_early() ? " (stopped early)" : "", result.train_seconds(),
                static_cast<double>(result.examples()) / std::max(result.train_seconds(), 1e-9),
                PlainLine(result.parameters_sha256().substr(0, 16)), result.version());
}

// ---- lists ----

Json JobJson(const Job& job) {
  Json json = {{"job", job.job()},
               {"name", job.name()},
               {"state", StateName(job.state())},
               {"reason", job.reason()},
               {"round", job.version()},
               {"rounds", ValueOrNull(job.rounds() > 0, job.rounds())},
               {"loss", ValueOrNull(HasMetrics(job), job.loss())},
               {"examples_per_second", ValueOrNull(HasMetrics(job), job.examples_per_second())}};
  json["parameters"] = ValueOrNull(job.parameters() > 0, job.parameters());
  json["bytes_per_round"] = ValueOrNull(job.parameters() > 0, job.bytes_per_round());
  json["submitted_unix_ms"] = job.submitted_unix_ms();
  json["ended_unix_ms"] = ValueOrNull(job.ended_unix_ms() > 0, job.ended_unix_ms());
  json["checkpoint_dir"] = job.checkpoint_dir();
  json["checkpoints"] = std::vector<uint64_t>(job.checkpoints().begin(), job.checkpoints().end());
  if (job.has_result()) json["parameters_sha256"] = job.result().parameters_sha256();
  return json;
}

void PrintJobs(const std::vector<Job>& jobs, std::FILE* out) {
  absl::FPrintF(out, "%5s  %-24s  %-10s  %15s  %9s  %8s  %s\n", "job", "name", "state", "round", "MB/round",
                "loss", "");
  for (const Job& job : jobs) {
    absl::FPrintF(
        out, "%5d  %-24s  %-10s  %15s  %9s  %8s  %s\n", job.job(), PlainLine(job.name()),
        StateName(job.state()), job.rounds() > 0 ? absl::StrCat(job.version(), "/", job.rounds()) : "-",
        job.parameters() > 0 ? absl::StrFormat("%.2f", static_cast<double>(job.bytes_per_round()) / kMega)
                             : "-",
        HasMetrics(job) ? absl::StrFormat("%.4f", job.loss()) : "-", PlainLine(job.reason()));
  }
}

namespace {

// "compute" for ACTIVITY_COMPUTE.
std::string ActivityName(const Activity& activity) {
  return LowerName(ActivityKind_Name(activity.kind()), "ACTIVITY_", static_cast<int>(activity.kind()));
}

Json ActivitiesJson(const NodeStatus& node) {
  Json json = Json::array();
  for (const Activity& activity : node.activities()) {
    json.push_back({{"kind", ActivityName(activity)},
                    {"job", activity.job()},
                    {"idle_seconds", activity.idle_seconds()},
                    {"detail", activity.detail()}});
  }
  return json;
}

Json UnreachableJson(const NodeStatus& node) {
  Json json = Json::array();
  for (const UnreachablePeer& peer : node.unreachable()) {
    json.push_back({{"name", peer.peer().name()},
                    {"node", peer.peer().node_id()},
                    {"address", peer.peer().address()},
                    {"seconds", peer.seconds()},
                    {"error", peer.error()}});
  }
  return json;
}

Json QueuesJson(const google::protobuf::RepeatedPtrField<QueueLength>& queues) {
  Json json = Json::array();
  for (const QueueLength& queue : queues)
    json.push_back({{"name", queue.name()}, {"length", queue.length()}, {"limit", queue.limit()}});
  return json;
}

// The node's long-running activities, the peers it can't reach, and what it has not read, one per line.
void PrintTroubles(const NodeStatus& node, std::FILE* out) {
  constexpr double kLongSeconds = 1;
  for (const Activity& activity : node.activities()) {
    if (activity.idle_seconds() < kLongSeconds) continue;
    absl::FPrintF(out, "  %s: %s, no progress for %.1f s\n", ActivityName(activity),
                  PlainLine(activity.detail()), activity.idle_seconds());
  }
  for (const UnreachablePeer& peer : node.unreachable()) {
    absl::FPrintF(out, "  can't reach %s at %s for %.1f s: %s\n", PlainLine(peer.peer().name()),
                  PlainLine(peer.peer().address()), peer.seconds(), PlainLine(peer.error()));
  }
  if (node.unread_directive_bytes() > 0) {
    absl::FPrintF(out, "  has not read %d bytes of directives, at most %s\n", node.unread_directive_bytes(),
                  FormatBytes(node.max_unread_directive_bytes()));
  }
}

}  // namespace

Json StatusJson(const ClusterStatus& status) {
  Json json = {{"build", status.build()},
               {"cluster_id", status.cluster_id()},
               {"protocol_version", status.protocol_version()},
               {"uptime_seconds", status.uptime_seconds()}};
  json["nodes"] = Json::array();
  for (const NodeStatus& node : status.nodes()) {
    json["nodes"].push_back({{"name", node.node().name()},
                             {"node", node.node().node_id()},
                             {"role", node.role() == NODE_ROLE_SERVER ? "server" : "worker"},
                             {"address", node.node().address()},
                             {"silent_seconds", node.silent_seconds()},
                             {"job", ValueOrNull(node.job() > 0, node.job())},
                             {"detail", node.detail()},
                             {"threads", node.threads()},
                             {"instruction_set", node.instruction_set()},
                             {"activities", ActivitiesJson(node)},
                             {"unreachable", UnreachableJson(node)},
                             {"unread_directive_bytes", node.unread_directive_bytes()},
                             {"max_unread_directive_bytes", node.max_unread_directive_bytes()},
                             {"queues", QueuesJson(node.queues())}});
  }
  json["jobs"] = Json::array();
  for (const Job& job : status.jobs()) json["jobs"].push_back(JobJson(job));
  json["older_jobs"] = status.older_jobs();
  json["stalls"] = std::vector<std::string>(status.stalls().begin(), status.stalls().end());
  json["queues"] = QueuesJson(status.queues());
  return json;
}

void PrintStatus(const ClusterStatus& status, std::FILE* out) {
  absl::FPrintF(out, "scheduler %s, cluster %s, up for %.0f s\n\n", PlainLine(status.build()),
                PlainLine(status.cluster_id().substr(0, kShownIdCharacters)), status.uptime_seconds());
  absl::FPrintF(out, "%-20s  %-7s  %-22s  %7s  %s\n", "node", "role", "address", "silent", "");
  for (const NodeStatus& node : status.nodes()) {
    absl::FPrintF(out, "%-20s  %-7s  %-22s  %6.1fs  %s\n", PlainLine(node.node().name()),
                  node.role() == NODE_ROLE_SERVER ? "server" : "worker", PlainLine(node.node().address()),
                  node.silent_seconds(), PlainLine(node.detail()));
    PrintTroubles(node, out);
  }
  absl::FPrintF(out, "\n");
  PrintJobs({status.jobs().begin(), status.jobs().end()}, out);
  if (status.older_jobs() > 0)
    absl::FPrintF(out, "and %d older ones that have ended (shoal jobs)\n", status.older_jobs());
  for (const std::string& stall : status.stalls()) absl::FPrintF(out, "\n! %s\n", PlainLine(stall));
}

}  // namespace shoal::tools
