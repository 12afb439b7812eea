// Jobs as text for people and JSON for scripts. What does not exist, or not yet, is null in JSON. Messages
// may come from a scheduler of another release: values that are unknown here are shown as numbers, and in
// text no control characters are (common/base/plain_text.h).
#pragma once

#include <cstdio>
#include <string>
#include <vector>

#include "nlohmann/json.hpp"
#include "proto/scheduler.pb.h"

namespace shoal::tools {

using Json = nlohmann::ordered_json;

// "running", "completed", ...; "unknown (9)".
std::string StateName(JobState state);
// "training", "validation", "test".
std::string SetName(EvaluationSet set);
// A ratio or a metric; "-" for NaN, which means that there is none.
std::string NumberOrDash(double value, int digits);

// Metrics of an evaluation: those that the task reports, loss and examples. Numbers that are not finite are
// null. A task that is unknown here (of a newer scheduler) has no metrics of its own.
Json EvaluationJson(TaskType task, const EvaluationStatistics& statistics);
// Adds "labels", and "averages" if the task has some, each an array with an entry per row of the task's
// table: label, precision, recall, f1, support. A ratio of nothing (the recall of a label that no example
// has) is null; in the table, a dash.
void AddLabels(TaskType task, const std::vector<std::string>& labels, const EvaluationStatistics& statistics,
               Json* json);

// A line of metrics.jsonl; null for events that have none.
Json MetricsLine(const JobSpec& spec, const JobEvent& event);

// report.json of a job that has ended (with spec and plan).
Json ReportJson(const Job& job);

// The task's table by label, if it has one, and the metrics.
void PrintEvaluation(TaskType task, const std::vector<std::string>& labels,
                     const EvaluationStatistics& statistics, std::FILE* out);
void PrintReport(const Job& job, std::FILE* out);

// What `shoal jobs` and `shoal status` show.
Json JobJson(const Job& job);
void PrintJobs(const std::vector<Job>& jobs, std::FILE* out);
Json StatusJson(const ClusterStatus& status);
void PrintStatus(const ClusterStatus& status, std::FILE* out);

}  // namespace shoal::tools
