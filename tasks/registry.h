// The tasks there are.
#pragma once

#include "absl/types/span.h"
#include "proto/job.pb.h"
#include "proto/scheduler.pb.h"
#include "tasks/task.h"

namespace shoal::tasks {

// All of them.
absl::Span<const Task* const> Tasks();

// Null when there is none: the number came from elsewhere.
const Task* FindTask(TaskType type);

// Of a valid job.
const Task& TaskOf(const JobSpec& job);

// The task of a model that has this head, whatever job made it; the first, where there are several.
const Task& TaskOf(HeadType head);

// Task::MetricValue of the job's task. NaN also when there is no such task.
double MetricValue(TaskType type, Metric metric, const EvaluationStatistics& statistics);

}  // namespace shoal::tasks
