#include "tools/shoal/command_parts.h"

#include <cstdio>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/base/plain_text.h"
#include "common/base/standard_output.h"
#include "common/base/status.h"
#include "common/rpc/address.h"
#include "tools/shoal/commands.h"

namespace shoal::tools {
namespace {

// The pause between requests to a scheduler that does not answer.
constexpr absl::Duration kRetryPause = absl::Milliseconds(200);

constexpr char kSchedulerVariable[] = "SHOAL_SCHEDULER";

// CLI11 checks the variable's value like the option's, and names only the option.
std::string SchedulerProblem(const std::string& address) {
  const std::string problem = AddressProblem(address);
  const char* const variable = std::getenv(kSchedulerVariable);
  const bool given_there = variable != nullptr && address == variable;
  return problem.empty() || !given_there ? problem : absl::StrCat(problem, " in ", kSchedulerVariable);
}

}  // namespace

void AddSchedulerOption(CLI::App* command, std::string* scheduler) {
  *scheduler = kDefaultScheduler;
  command->add_option("--scheduler", *scheduler, "Address of the scheduler")
      ->envname(kSchedulerVariable)
      ->type_name("HOST:PORT")
      ->check(SchedulerProblem)
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
  // Paths of the command line need not be UTF-8.
  absl::FPrintF(stdout, "%s\n", json.dump(2, ' ', false, Json::error_handler_t::replace));
  (void)FlushStandardOutput();  // main reports an error
}

absl::Status FollowJob(SchedulerClient* client, JobId id, const FollowOptions& options) {
  SHOAL_ASSIGN_OR_RETURN(const Job first, client->GetJob(id));
  uint64_t after = 0;
  absl::Time answered = MonotonicNow();
  bool silent = false;
  while (true) {
    const absl::Status watched = client->Watch(id, &after, options.look_every, [&](const JobEvent& event) {
      options.on_event(event);
      return !options.stop->requested();
    });
    if (options.stop->requested()) return absl::CancelledError("interrupted");
    if (!absl::IsUnavailable(watched)) return watched;
    if (options.look) SHOAL_RETURN_IF_ERROR(options.look());
    if (options.stop->requested()) return absl::CancelledError("interrupted");
    const auto now = client->GetJob(id);
    if (now.ok() && now->submitted_unix_ms() != first.submitted_unix_ms()) {
      return absl::NotFoundError(absl::StrCat("the scheduler at ", client->address(), " has another job ",
                                              id.value(), " now: it was started on another state folder"));
    }
    if (now.ok()) {
      answered = MonotonicNow();
      silent = false;
      continue;
    }
    const bool give_up = MonotonicNow() - answered >= options.patience;
    if (give_up || !absl::IsUnavailable(now.status())) return now.status();
    if (!std::exchange(silent, true) && options.on_silence) {
      options.on_silence(absl::StrCat(now.status().message(), "; trying again for ",
                                      absl::FormatDuration(options.patience)));
    }
    (void)options.stop->Wait(kRetryPause);
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
    absl::FPrintF(stderr, "shoal: the job has failed: %s\n", PlainLines(job.reason()));
    return kExitJobFailed;
  }
  absl::FPrintF(stderr, "shoal: the job was cancelled\n");
  return kExitJobCancelled;
}

}  // namespace shoal::tools
