// Code shared by several subcommands.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/base/signals.h"
#include "tools/shoal/report.h"
#include "tools/shoal/scheduler_client.h"

namespace shoal::tools {

// --scheduler, $SHOAL_SCHEDULER; must be an address.
void AddSchedulerOption(CLI::App* command, std::string* scheduler);
// --json. With it standard output is one JSON document (`what`), or empty when the command has no result.
void AddJsonFlag(CLI::App* command, bool* json, const std::string& what = "Print JSON");
// An option that may be given several times, each with one value.
CLI::Option* AddRepeatedOption(CLI::App* command, const std::string& name, std::vector<std::string>* values,
                               const std::string& help);

// Prints to standard output and flushes it: the reader of a pipe need not wait for the end.
void PrintJson(const Json& json);

// How a job is followed to its end.
struct FollowOptions {
  const StopSignal* stop = nullptr;
  absl::Duration look_every = absl::Seconds(1);
  // How long to wait for a scheduler that does not answer: it may be restarted.
  absl::Duration patience = absl::Seconds(30);
  std::function<void(const JobEvent&)> on_event;
  // Called about every look_every, even when the scheduler does not answer; FollowJob ends with any error it
  // returns. May be empty.
  std::function<absl::Status()> look;
  // Called once each time that the scheduler stops answering. May be empty.
  std::function<void(const std::string&)> on_silence;
};

// Reads the job's events until it has ended. Errors: CANCELLED when a stop is requested; those of `look`;
// NOT_FOUND when the scheduler does not know the job, or now has another one under its number; UNAVAILABLE
// when it has not answered for `patience` (by the monotonic clock).
absl::Status FollowJob(SchedulerClient* client, JobId job, const FollowOptions& options);

// Shows how a job has ended: the report on standard output (with `json` however it ended), the reason of a
// failure on standard error. Returns the exit code.
int ShowEnd(const Job& job, bool json);

}  // namespace shoal::tools
