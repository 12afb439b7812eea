// All tasks.
#pragma once

#include <optional>

#include "absl/types/span.h"
#include "proto/job.pb.h"
#include "proto/scheduler.pb.h"
#include "tasks/task.h"

namespace shoal::tasks {

// Every task once.
absl::Span<const Task* const> Tasks();

// Null when there is none: the number may come from outside.
const Task* FindTask(TaskType type);

// The task of a valid job.
const Task& TaskOf(const JobSpec& job);

// The task of a model with this head, whatever job it comes from; the first when there are several.
const Task& TaskOf(HeadType head);

// Task::Conclude and Task::ThresholdOf of the job's task, if there is one.
void Conclude(TaskType type, std::optional<double> threshold, EvaluationStatistics* statistics);
std::optional<double> ThresholdOf(TaskType type, const EvaluationStatistics& statistics);

// Task::MetricValue of the job's task. Also NaN when there is no such task.
double MetricValue(TaskType type, Metric metric, const EvaluationStatistics& statistics);

}  // namespace shoal::tasks
