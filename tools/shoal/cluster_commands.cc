// Commands that talk to a running cluster.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "common/base/command_line.h"
#include "common/base/plain_text.h"
#include "common/base/signals.h"
#include "common/base/standard_output.h"
#include "common/base/status.h"
#include "common/storage/checkpoint.h"
#include "common/storage/file.h"
#include "model/hugging_face.h"
#include "model/lora.h"
#include "model/tokenizer/pretrained_tokenizer.h"
#include "tools/shoal/command_parts.h"
#include "tools/shoal/commands.h"
#include "tools/shoal/export_job.h"
#include "tools/shoal/model_card.h"
#include "tools/shoal/progress.h"
#include "tools/shoal/report.h"
#include "tools/shoal/scheduler_client.h"

namespace shoal::tools {
namespace {

constexpr absl::Duration kWatchSlice = absl::Seconds(1);
// Jobs and versions are numbered from 1.
constexpr int64_t kAnyNumber = std::numeric_limits<int64_t>::max();

struct ClusterFlags {
  std::string scheduler;
  uint64_t job = 0;
  bool json = false;
  bool follow = false;   // logs
  std::string out;       // export
  uint64_t version = 0;  // export
  bool adapter = false;  // export
};
using Flags = std::shared_ptr<ClusterFlags>;

absl::Status Jobs(const ClusterFlags& flags) {
  SHOAL_ASSIGN_OR_RETURN(const std::vector<Job> jobs, SchedulerClient(flags.scheduler).ListJobs());
  if (!flags.json) {
    PrintJobs(jobs, stdout);
    return absl::OkStatus();
  }
  Json json = Json::array();
  for (const Job& job : jobs) json.push_back(JobJson(job));
  PrintJson(json);
  return absl::OkStatus();
}

absl::Status Status(const ClusterFlags& flags) {
  SHOAL_ASSIGN_OR_RETURN(const ClusterStatus status, SchedulerClient(flags.scheduler).GetStatus());
  if (flags.json) {
    PrintJson(StatusJson(status));
  } else {
    PrintStatus(status, stdout);
  }
  return absl::OkStatus();
}

std::string JsonLine(const Job& job, const JobEvent& event) {
  const Json line = MetricsLine(job.spec(), event);
  return line.is_null() ? "" : line.dump();
}

absl::StatusOr<int> PrintLogs(const ClusterFlags& flags, StopSignal* stop) {
  SchedulerClient client(flags.scheduler, stop);
  const JobId id(flags.job);
  SHOAL_ASSIGN_OR_RETURN(Job job, client.GetJob(id));
  const int64_t now = absl::ToUnixMillis(absl::Now());
  const auto print = [&](const JobEvent& event) {
    if (event.sequence() == 0) return;
    if (!job.has_plan()) job = client.GetJob(id).value_or(job);
    const std::string text = flags.json ? JsonLine(job, event) : LogLine(job, event);
    if (!text.empty()) absl::FPrintF(stdout, "%s\n", text);
    if (flags.follow) (void)FlushStandardOutput();
  };
  if (flags.follow) {
    FollowOptions options;
    options.stop = stop;
    options.on_event = print;
    options.look = FlushStandardOutput;
    options.on_silence = [](const std::string& text) {
      absl::FPrintF(stderr, "shoal: %s\n", PlainLine(text));
    };
    const absl::Status status = FollowJob(&client, id, options);
    if (absl::IsCancelled(status)) return stop->requested() ? kExitInterrupted : kExitReaderGone;
    SHOAL_RETURN_IF_ERROR(status);
    return kExitDone;
  }
  // The history up to now. It ends with live progress, or, without any, with a slice that brings nothing new.
  uint64_t after = 0, before = 0;
  absl::Status status;
  do {
    before = after;
    status = client.Watch(id, &after, kWatchSlice, [&](const JobEvent& event) {
      const bool is_over = event.sequence() == 0 || event.unix_ms() > now;
      if (is_over || stop->requested() || std::ferror(stdout) != 0) return false;
      print(event);
      return true;
    });
  } while (absl::IsUnavailable(status) && after > before);
  if (stop->requested()) return kExitInterrupted;
  if (!status.ok() && !absl::IsUnavailable(status) && !absl::IsCancelled(status)) return status;
  return kExitDone;
}

absl::StatusOr<int> Logs(const ClusterFlags& flags) {
  SHOAL_ASSIGN_OR_RETURN(const std::unique_ptr<StopSignal> stop, StopSignal::Install());
  const absl::StatusOr<int> printed = PrintLogs(flags, stop.get());
  return absl::IsCancelled(printed.status()) && stop->requested() ? kExitInterrupted : printed;
}

// Cancelling a job that has already ended is not an error, but the output says so.
absl::Status Cancel(const ClusterFlags& flags) {
  SchedulerClient client(flags.scheduler);
  const JobId id(flags.job);
  SHOAL_RETURN_IF_ERROR(client.Cancel(id));
  SHOAL_ASSIGN_OR_RETURN(const Job job, client.GetJob(id));
  if (flags.json) {
    PrintJson({{"job", id.value()}, {"state", StateName(job.state())}});
  } else if (job.state() == JOB_STATE_CANCELLED) {
    absl::FPrintF(stdout, "job %d is cancelled\n", id.value());
  } else {
    absl::FPrintF(stdout, "job %d had already ended: %s\n", id.value(), StateName(job.state()));
  }
  return absl::OkStatus();
}

// The result's checkpoint, or the newest; or that of the requested version.
absl::StatusOr<std::string> CheckpointToExport(const ClusterFlags& flags, const Job& job) {
  uint64_t version = flags.version;
  const bool is_result = version == 0 || version == job.result().version();
  if (is_result && !job.result().checkpoint().empty()) return job.result().checkpoint();
  if (job.checkpoints().empty())
    return absl::NotFoundError(absl::StrCat("job ", flags.job, " has no checkpoint of its own yet"));
  if (version == 0) version = *job.checkpoints().rbegin();
  if (std::find(job.checkpoints().begin(), job.checkpoints().end(), version) == job.checkpoints().end()) {
    return absl::NotFoundError(absl::StrCat("job ", flags.job, " has no checkpoint of version ", version,
                                            "; it has versions ", absl::StrJoin(job.checkpoints(), ", ")));
  }
  return JoinPath(job.checkpoint_dir(), CheckpointName(Version(version)));
}

// An existing model is never replaced: it may be the one that the training started from. What an export that
// was cut off has left is not a model.
absl::Status CheckNoModel(const std::string& folder) {
  if (IsHalfExported(PosixEnv(), folder)) return absl::OkStatus();
  for (const char* name : {model::kWeightsFile, "model.safetensors.index.json", "pytorch_model.bin",
                           model::kAdapterWeightsFile}) {
    if (!PosixEnv()->FileExists(JoinPath(folder, name))) continue;
    return absl::InvalidArgumentError(
        absl::StrCat(folder, " already holds a model (", name, "): choose another --out, or remove it"));
  }
  std::vector<std::string> names = {model::kConfigFile, model::kGenerationConfigFile, kModelCardFile,
                                    model::kAdapterConfigFile};
  for (std::string& name : model::TokenizerFileNames()) names.push_back(std::move(name));
  for (const std::string& name : names) {
    if (!PosixEnv()->FileExists(JoinPath(folder, name))) continue;
    return absl::InvalidArgumentError(
        absl::StrCat(JoinPath(folder, name),
                     " was not written by shoal export and would be replaced: choose another --out"));
  }
  return absl::OkStatus();
}

absl::Status Export(const ClusterFlags& flags) {
  SHOAL_RETURN_IF_ERROR(CheckNoModel(flags.out));
  SchedulerClient client(flags.scheduler);
  SHOAL_ASSIGN_OR_RETURN(const Job job, client.GetJob(JobId(flags.job)));
  SHOAL_ASSIGN_OR_RETURN(const std::string checkpoint, CheckpointToExport(flags, job));
  SHOAL_RETURN_IF_ERROR(ExportJob(PosixEnv(), &client, job, checkpoint, flags.out,
                                  flags.adapter ? ExportLayout::kAdapter : ExportLayout::kModel));
  if (flags.json) {
    PrintJson(
        {{"job", flags.job}, {flags.adapter ? "adapter" : "model", flags.out}, {"checkpoint", checkpoint}});
  } else {
    absl::FPrintF(stdout, "%s: the %s of %s\n", flags.out, flags.adapter ? "adapter" : "model",
                  PlainLine(checkpoint));
  }
  return absl::OkStatus();
}

// A subcommand with the options common to all: the scheduler and --json.
CLI::App* AddCommand(CLI::App* app, const Flags& flags, const char* name, const char* help,
                     const char* json_help = "Print JSON") {
  CLI::App* const command = app->add_subcommand(name, help);
  AddSchedulerOption(command, &flags->scheduler);
  AddJsonFlag(command, &flags->json, json_help);
  return command;
}

void AddJob(CLI::App* command, const Flags& flags) {
  AddNumberOption(command, "job", &flags->job, 1, kAnyNumber, "Number of the job")->required();
}

void AddLogs(CLI::App* app, CommandResult* result) {
  const auto flags = std::make_shared<ClusterFlags>();
  CLI::App* const command =
      AddCommand(app, flags, "logs", "Show the history of a job: views, losses, evaluations, checkpoints",
                 "Print the metrics as JSON lines");
  AddJob(command, flags);
  command->add_flag("--follow", flags->follow, "Keep printing until the job has ended");
  command->callback([flags, result] { result->Set(Logs(*flags)); });
}

// "" when `path` is a folder or may become one.
std::string NoFolderProblem(const std::string& path) {
  std::error_code error;
  const std::filesystem::file_status status = std::filesystem::status(path, error);
  const bool other = !error && std::filesystem::exists(status) && !std::filesystem::is_directory(status);
  return other ? absl::StrCat(path, " is not a folder") : "";
}

void AddExport(CLI::App* app, CommandResult* result) {
  const auto flags = std::make_shared<ClusterFlags>();
  CLI::App* const command = AddCommand(app, flags, "export", "Write a job's model as a Hugging Face folder");
  AddJob(command, flags);
  command->add_option("--out", flags->out, "Folder to write")
      ->required()
      ->type_name("DIR")
      ->check(EmptyProblem)
      ->check(NoFolderProblem);
  AddNumberOption(command, "--version", &flags->version, 1, kAnyNumber,
                  "A checkpoint's version (default: the result, or the newest)");
  command->add_flag("--adapter", flags->adapter,
                    "Write only what 'lora' in the job added, in the layout of PEFT");
  command->footer("Example:\n  shoal export 1 --out models/mine");
  command->callback([flags, result] { result->Set(Export(*flags)); });
}

}  // namespace

void AddClusterCommands(CLI::App* app, CommandResult* result) {
  const auto jobs = std::make_shared<ClusterFlags>();
  AddCommand(app, jobs, "jobs", "List the jobs")->callback([jobs, result] { result->Set(Jobs(*jobs)); });
  const auto status = std::make_shared<ClusterFlags>();
  AddCommand(app, status, "status", "Show nodes, jobs and stalls")->callback([status, result] {
    result->Set(Status(*status));
  });
  AddLogs(app, result);
  const auto cancel = std::make_shared<ClusterFlags>();
  CLI::App* const command = AddCommand(app, cancel, "cancel", "Cancel a job");
  AddJob(command, cancel);
  command->callback([cancel, result] { result->Set(Cancel(*cancel)); });
  AddExport(app, result);
}

}  // namespace shoal::tools
