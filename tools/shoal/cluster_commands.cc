// Commands that talk to a running cluster.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "common/checkpoint.h"
#include "common/file.h"
#include "common/signals.h"
#include "common/status.h"
#include "tools/shoal/commands.h"
#include "tools/shoal/export_job.h"
#include "tools/shoal/job_file.h"
#include "tools/shoal/progress.h"
#include "tools/shoal/report.h"
#include "tools/shoal/scheduler_client.h"

namespace shoal {
namespace {

constexpr absl::Duration kWatchSlice = absl::Seconds(1);

struct ClusterFlags {
  std::string scheduler;
  uint64_t job = 0;
  bool json = false;
  // submit
  std::string job_file;
  std::vector<std::string> set;
  std::string checkpoint_dir;
  std::string resume_from;
  std::string request_id;
  bool wait = false;
  // logs
  bool follow = false;
  // export
  std::string out;
  uint64_t version = 0;
};
using Flags = std::shared_ptr<ClusterFlags>;

CLI::App* AddCommand(CLI::App* app, const Flags& flags, const char* name, const char* help) {
  CLI::App* const command = app->add_subcommand(name, help);
  flags->scheduler = "127.0.0.1:7070";
  command->add_option("--scheduler", flags->scheduler, "Address of the scheduler")
      ->envname("SHOAL_SCHEDULER")
      ->type_name("HOST:PORT")
      ->capture_default_str();
  return command;
}

void AddJob(CLI::App* command, const Flags& flags) {
  command->add_option("job", flags->job, "Number of the job")->required();
}

std::string EventText(const Job& job, const JobEvent& event) {
  const std::string time =
      absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", absl::FromUnixMillis(event.unix_ms()), absl::UTCTimeZone());
  if (event.has_state())
    return absl::StrCat(time, " ", StateName(event.state().state()), " ", event.state().reason());
  if (!event.message().empty()) return absl::StrCat(time, " ", event.message());
  if (event.checkpoint() > 0) return absl::StrCat(time, " checkpoint of version ", event.checkpoint());
  const Json line = MetricsLine(job.spec(), event);
  return line.is_null() ? "" : absl::StrCat(time, " ", line.dump());
}

// Reads the job's events until it has ended.
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

absl::StatusOr<int> Wait(SchedulerClient* client, JobId id) {
  SHOAL_ASSIGN_OR_RETURN(const std::unique_ptr<StopSignal> stop, StopSignal::Install());
  SHOAL_ASSIGN_OR_RETURN(Job job, client->GetJob(id));
  {
    ProgressDisplay display(stderr, /*terminal=*/false);
    const absl::Status status = ReadEvents(client, id, *stop, [&](const JobEvent& event) {
      if (!job.has_plan()) {
        const auto now = client->GetJob(id);
        if (now.ok()) job = *now;
      }
      display.OnEvent(job, event);
      return true;
    });
    if (absl::IsCancelled(status)) return kExitInterrupted;
    SHOAL_RETURN_IF_ERROR(status);
  }
  SHOAL_ASSIGN_OR_RETURN(job, client->GetJob(id));
  if (job.state() == JOB_STATE_COMPLETED) PrintReport(job, stdout);
  if (job.state() == JOB_STATE_FAILED) absl::FPrintF(stderr, "shoal: the job has failed: %s\n", job.reason());
  return job.state() == JOB_STATE_COMPLETED ? kExitDone
         : job.state() == JOB_STATE_FAILED  ? kExitJobFailed
                                            : kExitJobCancelled;
}

absl::StatusOr<int> Submit(const ClusterFlags& flags) {
  SubmitJobRequest request;
  SHOAL_ASSIGN_OR_RETURN(*request.mutable_spec(), ReadJobFile(PosixEnv(), flags.job_file, flags.set));
  request.set_request_id(flags.request_id.empty()
                             ? absl::StrCat(absl::ToUnixNanos(absl::Now()), "-", getpid())
                             : flags.request_id);
  request.set_checkpoint_dir(flags.checkpoint_dir);
  request.set_resume_from(flags.resume_from);
  SchedulerClient client(flags.scheduler);
  SHOAL_ASSIGN_OR_RETURN(const JobId job, client.Submit(request));
  if (flags.json) {
    absl::FPrintF(stdout, "%s\n", Json({{"job", job.value()}}).dump());
  } else {
    absl::FPrintF(stdout, "job %d\n", job.value());
  }
  return flags.wait ? Wait(&client, job) : absl::StatusOr<int>(kExitDone);
}

absl::Status Jobs(const ClusterFlags& flags) {
  SHOAL_ASSIGN_OR_RETURN(const std::vector<Job> jobs, SchedulerClient(flags.scheduler).ListJobs());
  if (!flags.json) {
    PrintJobs(jobs, stdout);
    return absl::OkStatus();
  }
  Json json = Json::array();
  for (const Job& job : jobs) json.push_back(JobJson(job));
  absl::FPrintF(stdout, "%s\n", json.dump(2));
  return absl::OkStatus();
}

absl::Status Status(const ClusterFlags& flags) {
  SHOAL_ASSIGN_OR_RETURN(const ClusterStatus status, SchedulerClient(flags.scheduler).GetStatus());
  if (flags.json) {
    absl::FPrintF(stdout, "%s\n", StatusJson(status).dump(2));
  } else {
    PrintStatus(status, stdout);
  }
  return absl::OkStatus();
}

absl::StatusOr<int> Logs(const ClusterFlags& flags) {
  SHOAL_ASSIGN_OR_RETURN(const std::unique_ptr<StopSignal> stop, StopSignal::Install());
  SchedulerClient client(flags.scheduler);
  const JobId id(flags.job);
  SHOAL_ASSIGN_OR_RETURN(const Job job, client.GetJob(id));
  const int64_t now = absl::ToUnixMillis(absl::Now());
  const auto print = [&](const JobEvent& event) {
    const std::string text = flags.json ? MetricsLine(job.spec(), event).dump() : EventText(job, event);
    if (event.sequence() > 0 && !text.empty() && text != "null") absl::FPrintF(stdout, "%s\n", text);
    std::fflush(stdout);
    return true;
  };
  if (flags.follow) {
    const absl::Status status = ReadEvents(&client, id, *stop, print);
    if (absl::IsCancelled(status)) return kExitInterrupted;
    SHOAL_RETURN_IF_ERROR(status);
    return kExitDone;
  }
  // The history up to now; live progress tells that it is over.
  uint64_t after = 0;
  const absl::Status status = client.Watch(id, &after, kWatchSlice, [&](const JobEvent& event) {
    return event.sequence() > 0 && event.unix_ms() <= now && print(event);
  });
  if (!status.ok() && !absl::IsUnavailable(status) && !absl::IsCancelled(status)) return status;
  return kExitDone;
}

absl::Status Export(const ClusterFlags& flags) {
  SchedulerClient client(flags.scheduler);
  SHOAL_ASSIGN_OR_RETURN(const Job job, client.GetJob(JobId(flags.job)));
  std::string checkpoint = job.result().checkpoint();
  if (flags.version > 0) checkpoint = JoinPath(job.checkpoint_dir(), CheckpointName(Version(flags.version)));
  if (checkpoint.empty()) {
    if (job.checkpoints().empty())
      return absl::NotFoundError(absl::StrCat("job ", flags.job, " has no checkpoint yet"));
    checkpoint = JoinPath(job.checkpoint_dir(), CheckpointName(Version(*job.checkpoints().rbegin())));
  }
  SHOAL_RETURN_IF_ERROR(ExportJob(PosixEnv(), &client, job, checkpoint, flags.out));
  absl::FPrintF(stdout, "%s: the model of %s\n", flags.out, checkpoint);
  return absl::OkStatus();
}

void SetCode(const absl::StatusOr<int>& code, CommandResult* result) {
  result->Set(code.status());
  if (code.ok()) result->exit_code = *code;
}

}  // namespace

void AddClusterCommands(CLI::App* app, CommandResult* result) {
  {
    const auto flags = std::make_shared<ClusterFlags>();
    CLI::App* const command = AddCommand(app, flags, "submit", "Give a job to a cluster");
    command->add_option("job", flags->job_file, "Job file (docs/job-file.md)")
        ->required()
        ->type_name("JOB.yaml");
    command->add_option("--set", flags->set, "A value that replaces the job file's")
        ->type_name("KEY.PATH=VALUE")
        ->expected(1)
        ->take_all();
    command->add_option("--checkpoint-dir", flags->checkpoint_dir,
                        "Folder for checkpoints, as servers and scheduler see it");
    command->add_option("--resume-from", flags->resume_from,
                        "Checkpoint to start from, as servers and scheduler see it");
    command->add_option("--request-id", flags->request_id,
                        "The same id twice gives the same job, so that a retry is harmless");
    command->add_flag("--wait", flags->wait, "Show the progress and return when the job has ended");
    command->add_flag("--json", flags->json, "Print JSON");
    command->footer("Example:\n  shoal submit job.yaml --scheduler 10.0.0.5:7070 --wait");
    command->callback([flags, result] { SetCode(Submit(*flags), result); });
  }
  {
    const auto flags = std::make_shared<ClusterFlags>();
    CLI::App* const command = AddCommand(app, flags, "jobs", "List the jobs");
    command->add_flag("--json", flags->json, "Print JSON");
    command->callback([flags, result] { result->Set(Jobs(*flags)); });
  }
  {
    const auto flags = std::make_shared<ClusterFlags>();
    CLI::App* const command = AddCommand(app, flags, "status", "Nodes, jobs, and what stalls");
    command->add_flag("--json", flags->json, "Print JSON");
    command->callback([flags, result] { result->Set(Status(*flags)); });
  }
  {
    const auto flags = std::make_shared<ClusterFlags>();
    CLI::App* const command =
        AddCommand(app, flags, "logs", "What has happened in a job: views, losses, evaluations, checkpoints");
    AddJob(command, flags);
    command->add_flag("--follow", flags->follow, "Go on until the job has ended");
    command->add_flag("--json", flags->json, "Print the metrics as JSON lines");
    command->callback([flags, result] { SetCode(Logs(*flags), result); });
  }
  {
    const auto flags = std::make_shared<ClusterFlags>();
    CLI::App* const command = AddCommand(app, flags, "cancel", "End a job");
    AddJob(command, flags);
    command->callback(
        [flags, result] { result->Set(SchedulerClient(flags->scheduler).Cancel(JobId(flags->job))); });
  }
  {
    const auto flags = std::make_shared<ClusterFlags>();
    CLI::App* const command =
        AddCommand(app, flags, "export", "Write a job's model as a Hugging Face folder");
    AddJob(command, flags);
    command->add_option("--out", flags->out, "Folder to write")->required()->type_name("DIR");
    command->add_option("--version", flags->version,
                        "A checkpoint's version (default: the result, or the newest)");
    command->footer("Example:\n  shoal export 1 --out models/mine");
    command->callback([flags, result] { result->Set(Export(*flags)); });
  }
}

}  // namespace shoal
