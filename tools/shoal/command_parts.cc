#include "tools/shoal/command_parts.h"

#include <cstdio>

#include "absl/strings/str_format.h"
#include "common/address.h"
#include "common/status.h"
#include "tools/shoal/commands.h"

namespace shoal {
namespace {

constexpr absl::Duration kWatchSlice = absl::Seconds(1);

}  // namespace

void AddSchedulerOption(CLI::App* command, std::string* scheduler) {
  *scheduler = "127.0.0.1:7070";
  command->add_option("--scheduler", *scheduler, "Address of the scheduler")
      ->envname("SHOAL_SCHEDULER")
      ->type_name("HOST:PORT")
      ->check(AddressProblem)
      ->capture_default_str();
}

void AddJsonFlag(CLI::App* command, bool* json, const std::string& what) {
  command->add_flag("--json", *json, what);
}

CLI::Option* AddRepeatedOption(CLI::App* command, const std::string& name, std::vector<std::string>* values,
                               const std::string& help) {
  return command->add_option(name, *values, help)->expected(1)->take_all();
}

void PrintJson(const Json& json) {
  absl::FPrintF(stdout, "%s\n", json.dump(2));
  std::fflush(stdout);
}

absl::Status ReadEvents(SchedulerClient* client, JobId job, const StopSignal& stop,
                        const std::function<bool(const JobEvent&)>& on_event) {
  uint64_t after = 0;
  while (true) {
    const absl::Status status = client->Watch(job, &after, kWatchSlice, [&](const JobEvent& event) {
      return on_event(event) && !stop.requested();
    });
    if (stop.requested()) return absl::CancelledError("interrupted");
    if (!absl::IsUnavailable(status)) return status;
    SHOAL_RETURN_IF_ERROR(client->GetJob(job).status());
  }
}

int ShowEnd(const Job& job, bool json) {
  const bool completed = job.state() == JOB_STATE_COMPLETED;
  if (json) {
    PrintJson(ReportJson(job));
  } else if (completed) {
    PrintReport(job, stdout);
  }
  if (completed) return kExitDone;
  if (job.state() == JOB_STATE_FAILED) {
    absl::FPrintF(stderr, "shoal: the job has failed: %s\n", job.reason());
    return kExitJobFailed;
  }
  absl::FPrintF(stderr, "shoal: the job was cancelled\n");
  return kExitJobCancelled;
}

}  // namespace shoal
