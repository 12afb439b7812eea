// What several subcommands share.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/status/status.h"
#include "common/signals.h"
#include "tools/shoal/report.h"
#include "tools/shoal/scheduler_client.h"

namespace shoal {

// --scheduler, $SHOAL_SCHEDULER; checked to be an address.
void AddSchedulerOption(CLI::App* command, std::string* scheduler);
// --json. Then standard output is one JSON document (`what`), or empty when the command comes to no result.
void AddJsonFlag(CLI::App* command, bool* json, const std::string& what = "Print JSON");
// An option that may be given several times, each with one value.
CLI::Option* AddRepeatedOption(CLI::App* command, const std::string& name, std::vector<std::string>* values,
                               const std::string& help);

// To standard output, at once: a reader of a pipe need not wait for the end.
void PrintJson(const Json& json);

// Reads the job's events until it has ended (OK), or `stop` is requested (CANCELLED).
absl::Status ReadEvents(SchedulerClient* client, JobId job, const StopSignal& stop,
                        const std::function<bool(const JobEvent&)>& on_event);

// Shows how a job has ended: the report on standard output (as JSON whatever the end was), the reason of a
// failure on standard error. Returns the exit code.
int ShowEnd(const Job& job, bool json);

}  // namespace shoal
