// shoal submit: submits a job to a cluster.
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "common/base/command_line.h"
#include "common/base/signals.h"
#include "common/base/standard_output.h"
#include "common/base/status.h"
#include "common/storage/file.h"
#include "tools/shoal/command_parts.h"
#include "tools/shoal/commands.h"
#include "tools/shoal/job_file.h"
#include "tools/shoal/progress.h"

namespace shoal::tools {
namespace {

struct SubmitFlags {
  std::string scheduler;
  std::string job_file;
  std::vector<std::string> set;
  std::string checkpoint_dir, resume_from, request_id;
  bool wait = false;
  bool json = false;
};

// Shows the progress of the job until it has ended. Errors: as FollowJob; CANCELLED also when the reader of
// the progress has gone.
absl::Status ShowProgress(SchedulerClient* client, JobId id, const StopSignal* stop,
                          ProgressDisplay* display) {
  SHOAL_ASSIGN_OR_RETURN(Job job, client->GetJob(id));
  FollowOptions options;
  options.stop = stop;
  options.on_event = [&](const JobEvent& event) {
    if (!job.has_plan()) job = client->GetJob(id).value_or(job);
    display->OnEvent(job, event);
  };
  options.look = [&]() -> absl::Status {
    if (display->reader_gone()) return absl::CancelledError("the reader of the progress has gone");
    const auto status = client->GetStatus();
    if (status.ok()) display->OnStalls(StallsOf(*status, id));
    return absl::OkStatus();
  };
  options.on_silence = [&](const std::string& text) { display->OnMessage(text); };
  return FollowJob(client, id, options);
}

absl::StatusOr<int> Wait(SchedulerClient* client, JobId id, const StopSignal* stop, bool json) {
  ProgressDisplay display(stderr, /*terminal=*/false);
  const absl::Status followed = ShowProgress(client, id, stop, &display);
  if (absl::IsCancelled(followed)) {
    display.OnMessage(absl::StrFormat(
        "job %d keeps running: `shoal logs %d --follow` shows it, `shoal cancel %d` cancels it", id.value(),
        id.value(), id.value()));
    return stop->requested() ? kExitInterrupted : kExitReaderGone;
  }
  SHOAL_RETURN_IF_ERROR(followed);
  SHOAL_ASSIGN_OR_RETURN(const Job job, client->GetJob(id));
  return ShowEnd(job, json);
}

// CANCELLED when `stop` was requested while a call waited for its answer.
absl::StatusOr<int> SubmitAndWait(const SubmitFlags& flags, const SubmitJobRequest& request,
                                  const StopSignal* stop) {
  SchedulerClient client(flags.scheduler, stop);
  SHOAL_ASSIGN_OR_RETURN(const JobId job, client.Submit(request));
  if (flags.json && !flags.wait) {
    PrintJson({{"job", job.value()}});
  } else {
    // With --json, standard output is reserved for the report.
    std::FILE* const out = flags.json ? stderr : stdout;
    absl::FPrintF(out, "job %d\n", job.value());
    if (!flags.json) (void)FlushStandardOutput();
  }
  return flags.wait ? Wait(&client, job, stop, flags.json) : absl::StatusOr<int>(kExitDone);
}

absl::StatusOr<int> Submit(const SubmitFlags& flags) {
  SubmitJobRequest request;
  SHOAL_ASSIGN_OR_RETURN(*request.mutable_spec(), ReadJobFile(PosixEnv(), flags.job_file, flags.set));
  request.set_request_id(flags.request_id.empty()
                             ? absl::StrCat(absl::ToUnixNanos(absl::Now()), "-", getpid())
                             : flags.request_id);
  request.set_checkpoint_dir(flags.checkpoint_dir);
  request.set_resume_from(flags.resume_from);
  SHOAL_ASSIGN_OR_RETURN(const std::unique_ptr<StopSignal> stop, StopSignal::Install());
  const absl::StatusOr<int> code = SubmitAndWait(flags, request, stop.get());
  if (!absl::IsCancelled(code.status()) || !stop->requested()) return code;
  absl::FPrintF(stderr, "shoal: interrupted: `shoal jobs` shows whether the scheduler has the job\n");
  return kExitInterrupted;
}

}  // namespace

void AddSubmit(CLI::App* app, CommandResult* result) {
  const auto flags = std::make_shared<SubmitFlags>();
  CLI::App* const command = app->add_subcommand("submit", "Submit a job to a cluster");
  AddSchedulerOption(command, &flags->scheduler);
  command->add_option("job", flags->job_file, "Job file (docs/job-file.md)")
      ->required()
      ->type_name("JOB.yaml");
  AddRepeatedOption(command, "--set", &flags->set, "Overrides a value of the job file")
      ->type_name("KEY.PATH=VALUE");
  command
      ->add_option("--checkpoint-dir", flags->checkpoint_dir,
                   "Folder for checkpoints, as seen by servers and scheduler")
      ->type_name("DIR")
      ->check(RelativeProblem);
  command
      ->add_option("--resume-from", flags->resume_from,
                   "Checkpoint to start from, as seen by servers and scheduler")
      ->type_name("DIR")
      ->check(RelativeProblem);
  command
      ->add_option("--request-id", flags->request_id,
                   "Submitting the same id twice returns the same job, so that a retry is harmless")
      ->type_name("ID")
      ->check(EmptyProblem);
  command->add_flag("--wait", flags->wait, "Show progress until the job has ended");
  AddJsonFlag(command, &flags->json, "Print the job's number as JSON; with --wait, its report");
  command->footer("Example:\n  shoal submit job.yaml --scheduler 10.0.0.5:7070 --wait");
  command->callback([flags, result] { result->Set(Submit(*flags)); });
}

}  // namespace shoal::tools
