// Jobs for people and for scripts.
#pragma once

#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "proto/scheduler.pb.h"

namespace shoal {

using Json = nlohmann::ordered_json;

// "running", "completed", ...
std::string StateName(JobState state);
// "training", "validation", "test".
std::string SetName(EvaluationSet set);

// Metrics of an evaluation: those that the task reports, loss, examples. Numbers that are not there are null.
// A newer scheduler's task that is not known here has no metrics.
Json EvaluationJson(TaskType task, const EvaluationStatistics& statistics);
// One entry a row of the task's table: label, precision, recall, f1, support.
Json LabelsJson(TaskType task, const std::vector<std::string>& labels,
                const EvaluationStatistics& statistics);

// A line of metrics.jsonl; null for events that are none.
Json MetricsLine(const JobSpec& spec, const JobEvent& event);

// report.json of a job that has ended (with spec and plan).
Json ReportJson(const Job& job);

// Test metrics and the table by class.
void PrintEvaluation(TaskType task, const std::vector<std::string>& labels,
                     const EvaluationStatistics& statistics, std::FILE* out);
void PrintReport(const Job& job, std::FILE* out);

// What `shoal jobs` and `shoal status` show.
Json JobJson(const Job& job);
void PrintJobs(const std::vector<Job>& jobs, std::FILE* out);
Json StatusJson(const ClusterStatus& status);
void PrintStatus(const ClusterStatus& status, std::FILE* out);

}  // namespace shoal
