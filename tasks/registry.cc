#include "tasks/registry.h"

#include <algorithm>
#include <limits>

#include "common/base/status.h"

namespace shoal::tasks {

// Each is in its own file.
const Task &TextClassification(), &TextRegression(), &MultilabelClassification(), &CausalLanguageModelling(),
    &TokenClassification(), &MaskedLanguageModelling(), &QuestionAnswering(), &RelationExtraction(),
    &IntentClassification();

absl::Span<const Task* const> Tasks() {
  static const Task* const kTasks[] = {
      &TextClassification(),      &TextRegression(),      &MultilabelClassification(),
      &CausalLanguageModelling(), &TokenClassification(), &MaskedLanguageModelling(),
      &QuestionAnswering(),       &RelationExtraction(),  &IntentClassification()};
  return kTasks;
}

const Task* FindTask(TaskType type) {
  for (const Task* task : Tasks()) {
    if (task->type() == type) return task;
  }
  return nullptr;
}

const Task& TaskOf(const JobSpec& job) {
  const Task* const task = FindTask(job.task());
  SHOAL_CHECK(task != nullptr);
  return *task;
}

const Task& TaskOf(HeadType head) {
  const auto found =
      std::find_if(Tasks().begin(), Tasks().end(), [&](const Task* task) { return task->head() == head; });
  SHOAL_CHECK(found != Tasks().end());
  return **found;
}

void Conclude(TaskType type, std::optional<double> threshold, EvaluationStatistics* statistics) {
  if (const Task* const task = FindTask(type)) task->Conclude(threshold, statistics);
}

std::optional<double> ThresholdOf(TaskType type, const EvaluationStatistics& statistics) {
  const Task* const task = FindTask(type);
  return task == nullptr ? std::nullopt : task->ThresholdOf(statistics);
}

double MetricValue(TaskType type, Metric metric, const EvaluationStatistics& statistics) {
  const Task* const task = FindTask(type);
  return task == nullptr ? std::numeric_limits<double>::quiet_NaN() : task->MetricValue(metric, statistics);
}

}  // namespace shoal::tasks
