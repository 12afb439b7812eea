#include "tools/shoal/plots.h"

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/status.h"
#include "common/job/job_spec.h"
#include "nlohmann/json.hpp"
#include "tasks/registry.h"
#include "tools/shoal/svg_chart.h"

namespace shoal::tools {
namespace {

using Json = nlohmann::json;

// The lines of this event, and set of examples if it has one.
std::vector<Json> LinesOf(absl::string_view metrics, absl::string_view event, absl::string_view set = "") {
  std::vector<Json> lines;
  for (const absl::string_view text : absl::StrSplit(metrics, '\n', absl::SkipEmpty())) {
    Json line = Json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (line.is_object() && line.value("event", "") == event && line.value("set", "") == set)
      lines.push_back(std::move(line));
  }
  return lines;
}

// A field of the lines, by round.
ChartLine LineOf(const std::vector<Json>& lines, const std::string& field, const std::string& name) {
  ChartLine line;
  line.name = name;
  for (const Json& of_round : lines) {
    const auto value = of_round.find(field), round = of_round.find("round");
    if (value == of_round.end() || round == of_round.end() || !value->is_number() || !round->is_number())
      continue;
    line.points.push_back({round->get<double>(), value->get<double>()});
  }
  return line;
}

absl::Status Write(Env* env, const std::string& folder, const std::string& name, const std::string& chart) {
  if (chart.empty()) return absl::OkStatus();
  return env->WriteFileAtomic(JoinPath(folder, absl::StrCat(name, ".svg")), chart);
}

// Of the test, or else of the last validation; null when there was none.
const EvaluationRecord* LastEvaluation(const Job& job) {
  const EvaluationRecord* last = nullptr;
  for (const EvaluationRecord& evaluation : job.evaluations()) {
    if (last == nullptr || last->set() != EVALUATION_SET_TEST) last = &evaluation;
  }
  return last;
}

}  // namespace

absl::Status WritePlots(Env* env, const std::string& folder, absl::string_view metrics, const Job& job) {
  SHOAL_RETURN_IF_ERROR(env->CreateDirs(folder));
  const std::vector<Json> rounds = LinesOf(metrics, "log"),
                          validations = LinesOf(metrics, "evaluation", "validation");
  const std::string& name = job.spec().name();
  const std::vector<ChartLine> losses = {LineOf(rounds, "loss", "training"),
                                         LineOf(validations, "loss", "validation")};
  SHOAL_RETURN_IF_ERROR(Write(env, folder, "loss", LineChart(absl::StrCat(name, ": loss"), "round", losses)));
  const tasks::Task* const task = tasks::FindTask(job.spec().task());
  if (task == nullptr) return absl::OkStatus();
  for (Metric metric : task->reported_metrics()) {
    const std::string word = MetricName(metric);
    const std::vector<ChartLine> lines = {LineOf(validations, word, "validation")};
    SHOAL_RETURN_IF_ERROR(
        Write(env, folder, word, LineChart(absl::StrCat(name, ": ", word), "round", lines)));
  }
  const EvaluationRecord* const last = LastEvaluation(job);
  if (last == nullptr) return absl::OkStatus();
  const std::vector<std::string> labels(job.plan().labels().begin(), job.plan().labels().end());
  const std::vector<uint64_t> matrix = task->ConfusionMatrix(labels.size(), last->statistics());
  if (matrix.empty()) return absl::OkStatus();
  const char* const set = last->set() == EVALUATION_SET_TEST ? "test" : "validation";
  return Write(env, folder, "confusion",
               ConfusionChart(absl::StrCat(name, ": ", set, ", version ", last->version()), labels, matrix));
}

}  // namespace shoal::tools
