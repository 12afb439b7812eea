// What a scheduler answers to the command line: correct and changed jobs, lists of jobs, cluster states and
// events, and any bytes that parse as one. Asserted: text has no control characters and exactly the lines
// that it should have, whatever names and reasons contain; JSON reads back as what was printed, with the
// texts as they were sent; the progress of a job rewrites nothing but its own line.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "common/base/status.h"
#include "common/base/types.h"
#include "common/job/job_spec.h"
#include "google/protobuf/stubs/logging.h"
#include "proto/scheduler.pb.h"
#include "tests/fuzz/byte_source.h"
#include "tests/fuzz/message_mutator.h"
#include "tools/shoal/printed_text.h"
#include "tools/shoal/progress.h"
#include "tools/shoal/prospects.h"
#include "tools/shoal/report.h"

namespace shoal::tools {
namespace {

constexpr int kMaxEvents = 25;
constexpr double kShownIdleSeconds = 1;  // activities without progress for longer have a line in the status

// ---- correct messages ----

EvaluationStatistics Statistics() {
  EvaluationStatistics statistics;
  statistics.set_examples(4);
  statistics.set_loss(2);
  statistics.set_predicted_tokens(8);
  for (uint64_t cell : {1, 1, 0, 2}) statistics.add_confusion(cell);
  for (double sum : {1, 2, 3, 4, 5, 6}) statistics.add_sums(sum);
  return statistics;
}

EvaluationRecord Evaluation(EvaluationSet set) {
  EvaluationRecord evaluation;
  evaluation.set_set(set);
  evaluation.set_version(10);
  *evaluation.mutable_statistics() = Statistics();
  evaluation.set_metric(0.75);
  evaluation.set_loss(0.5);
  evaluation.set_best(true);
  return evaluation;
}

MetricRecord Metrics() {
  MetricRecord metric;
  metric.set_round(5);
  metric.set_epoch(0.5);
  metric.set_loss(0.5);
  metric.set_learning_rate(0.1);
  metric.set_gradient_norm(2);
  metric.set_examples_per_second(100);
  return metric;
}

// Completing a job takes longer than anything else here.
const JobSpec& CompletedSpec() {
  static const auto* const completed = [] {
    auto* const spec = new JobSpec;
    spec->mutable_data()->add_files("data.tsv");
    CompleteJob(spec);
    return spec;
  }();
  return *completed;
}

Job CorrectJob(TaskType task) {
  Job job;
  job.set_job(1);
  job.set_name("fuzz");
  job.set_state(JOB_STATE_COMPLETED);
  job.set_version(10);
  job.set_rounds(10);
  *job.mutable_spec() = CompletedSpec();
  job.mutable_spec()->set_task(task);
  JobPlan& plan = *job.mutable_plan();
  plan.set_rounds(10);
  plan.add_labels("a");
  plan.add_labels("b");
  *job.add_evaluations() = Evaluation(EVALUATION_SET_VALIDATION);
  *job.add_evaluations() = Evaluation(EVALUATION_SET_TEST);
  job.mutable_view()->set_view(1);
  job.mutable_view()->add_shards();
  job.mutable_result()->set_parameters_sha256("0123456789abcdef0123");
  job.add_checkpoints(10);
  return job;
}

ClusterStatus CorrectStatus() {
  ClusterStatus status;
  status.set_build("1.0");
  status.set_cluster_id("0123456789abcdef");
  for (NodeRole role : {NODE_ROLE_SERVER, NODE_ROLE_WORKER}) {
    NodeStatus& node = *status.add_nodes();
    node.set_role(role);
    node.mutable_node()->set_name("node");
    node.set_detail("refused job 1: no data");
    node.add_activities()->set_kind(ACTIVITY_COMPUTE);
    node.mutable_activities(0)->set_idle_seconds(3);
    node.add_unreachable()->set_error("connection refused");
    node.set_unread_directive_bytes(1000);
    node.add_queues()->set_name("snapshots");
  }
  *status.add_jobs() = CorrectJob(TASK_TEXT_CLASSIFICATION);
  status.add_queues()->set_name("watchers");
  status.add_stalls("job 1, round 8: slots [5,6) of worker-3, silent for 2.1 s");
  return status;
}

JobEvent CorrectEvent(uint32_t kind) {
  JobEvent event;
  event.set_sequence(kind == 3 ? 0 : 7);
  event.set_unix_ms(1'000'000'000'000);
  if (kind == 0) event.mutable_state()->set_state(JOB_STATE_FAILED);
  if (kind == 1) *event.mutable_metric() = Metrics();
  if (kind == 2) *event.mutable_evaluation() = Evaluation(EVALUATION_SET_VALIDATION);
  if (kind == 3) *event.mutable_progress() = Metrics();
  if (kind == 4) event.set_message("worker-2 lost (stream broken)");
  if (kind == 5) event.set_checkpoint(10);
  return event;
}

// ---- what must hold ----

size_t LinesOf(const std::string& text) { return std::count(text.begin(), text.end(), '\n'); }

// Nothing that a terminal obeys, but for the ends of lines.
void CheckPlain(const std::string& text) {
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<uint8_t>(text[i]), next = static_cast<uint8_t>(text[i + 1]);
    SHOAL_CHECK(byte == '\n' || (byte >= ' ' && byte != 0x7F));
    SHOAL_CHECK(!(byte == 0xC2 && next < 0xA0));  // U+0080 to U+009F
  }
}
void CheckLine(const std::string& text) {
  CheckPlain(text);
  SHOAL_CHECK(text.find('\n') == text.npos);
}

Json CheckJson(const Json& json) {
  const std::string text = json.dump(2);
  for (char byte : text) SHOAL_CHECK(byte == '\n' || static_cast<uint8_t>(byte) >= ' ');
  Json read = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  SHOAL_CHECK(!read.is_discarded() && read.dump(2) == text);
  return read;
}

void CheckJobJson(const Job& job) {
  const Json read = CheckJson(JobJson(job));
  SHOAL_CHECK(read["job"] == job.job() && read["name"] == job.name() && read["reason"] == job.reason());
  SHOAL_CHECK(read["submitted_unix_ms"] == job.submitted_unix_ms());
  SHOAL_CHECK(!read["state"].get<std::string>().empty());
}

class Client {
 public:
  explicit Client(ByteSource* source) : source_(source), job_(CorrectJob(ATask())) {}

  // Shows a sequence of answers, and the progress of one job.
  void Play() {
    const bool terminal = source_->Flip();
    const std::string shown = PrintedText([&](std::FILE* out) {
      ProgressDisplay display(out, terminal);
      for (int events = 0; events < kMaxEvents && !source_->done(); ++events) Answer(&display);
    });
    CheckPlain(terminal ? absl::StrReplaceAll(shown, {{"\r\x1b[K", ""}}) : shown);
  }

 private:
  TaskType ATask() { return static_cast<TaskType>(source_->Below(6)); }  // the last one is unknown

  // `message`, or a changed one, or any other, as it arrives.
  template <typename Message>
  Message Received(Message message) {
    if (source_->Below(8) == 0) {
      Message any;
      if (any.ParseFromString(source_->Bytes(255))) return any;
    }
    for (uint32_t changes = source_->Below(4); changes > 0; --changes) MutateField(source_, &message);
    Message received;
    SHOAL_CHECK(received.ParseFromString(message.SerializeAsString()));
    return received;
  }

  void Answer(ProgressDisplay* display) {
    switch (source_->Below(5)) {
      case 0:
        job_ = Received(CorrectJob(ATask()));
        return ShowJob(job_);
      case 1:
        return ShowJobs();
      case 2:
        return ShowStatus(display);
      default:
        return ShowEvent(display);
    }
  }

  void ShowJob(const Job& job) {
    const Json report = CheckJson(ReportJson(job));
    SHOAL_CHECK(report["job"] == job.job() && report["name"] == job.name());
    SHOAL_CHECK(report["validation"].size() <= job.evaluations_size());
    const std::string text = PrintedText([&](std::FILE* out) { PrintReport(job, out); });
    CheckPlain(text);
    const size_t rows = report.contains("labels") ? report["labels"].size() : 0;
    const size_t of_test = report.contains("test") ? 3 + (rows > 0 ? rows + 1 : 0) : 0;
    SHOAL_CHECK(LinesOf(text) == of_test + 1);
  }

  void ShowJobs() {
    ListJobsResponse response;
    *response.add_jobs() = job_;
    *response.add_jobs() = CorrectJob(ATask());
    response = Received(response);
    for (const Job& job : response.jobs()) CheckJobJson(job);
    const std::string text = PrintedText([&](std::FILE* out) {
      PrintJobs({response.jobs().begin(), response.jobs().end()}, out);
    });
    CheckPlain(text);
    SHOAL_CHECK(LinesOf(text) == 1 + response.jobs_size());
  }

  void ShowStatus(ProgressDisplay* display) {
    const ClusterStatus status = Received(CorrectStatus());
    const Json json = CheckJson(StatusJson(status));
    SHOAL_CHECK(json["nodes"].size() == status.nodes_size() && json["jobs"].size() == status.jobs_size());
    SHOAL_CHECK(json["stalls"].size() == status.stalls_size());
    size_t lines = 5 + status.jobs_size() + (status.older_jobs() > 0) + 2 * status.stalls_size();
    for (int i = 0; i < status.nodes_size(); ++i) {
      SHOAL_CHECK(json["nodes"][i]["detail"] == status.nodes(i).detail());
      lines += 1 + LinesOfTroubles(status.nodes(i));
    }
    const std::string text = PrintedText([&](std::FILE* out) { PrintStatus(status, out); });
    CheckPlain(text);
    SHOAL_CHECK(LinesOf(text) == lines);
    const std::vector<std::string> stalls = StallsOf(status, JobId(job_.job()));
    SHOAL_CHECK(stalls.size() <= status.stalls_size());
    display->OnStalls(stalls);
    display->OnMessage(BusyNodesText(status));
    Judge(status);
  }
  static size_t LinesOfTroubles(const NodeStatus& node) {
    size_t lines = node.unreachable_size() + (node.unread_directive_bytes() > 0 ? 1 : 0);
    for (const Activity& activity : node.activities())
      lines += !(activity.idle_seconds() < kShownIdleSeconds);
    return lines;
  }
  // Whether the training can go on: with enough processes it can, unless nodes have refused it for a while.
  void Judge(const ClusterStatus& status) {
    now_ += absl::Seconds(source_->Below(10));
    const LiveNodes live = {static_cast<int>(source_->Below(3)), static_cast<int>(source_->Below(3))};
    const absl::Status verdict = prospects_.Check(now_, live, job_, status);
    SHOAL_CHECK(verdict.ok() || absl::IsUnavailable(verdict));
    if (live.servers == 0 || live.workers == 0) SHOAL_CHECK(!verdict.ok());
  }

  void ShowEvent(ProgressDisplay* display) {
    const JobEvent event = Received(CorrectEvent(source_->Below(6)));
    const std::string text = EventText(job_, event), line = LogLine(job_, event);
    CheckLine(text);
    CheckLine(line);
    SHOAL_CHECK(line.empty() == text.empty());
    const Json metrics = MetricsLine(job_.spec(), event);
    SHOAL_CHECK(metrics.is_null() == !(event.has_metric() || event.has_evaluation()));
    if (!metrics.is_null()) SHOAL_CHECK(CheckJson(metrics)["unix_ms"] == event.unix_ms());
    display->OnEvent(job_, event);
  }

  ByteSource* const source_;
  Job job_;  // the job that is followed
  absl::Time now_ = absl::UnixEpoch();
  Prospects prospects_;
};

}  // namespace
}  // namespace shoal::tools

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  google::protobuf::SetLogHandler(nullptr);  // messages that don't parse
  shoal::ByteSource source(data, size);
  shoal::tools::Client(&source).Play();
  return 0;
}
