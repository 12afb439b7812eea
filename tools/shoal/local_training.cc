#include "tools/shoal/local_training.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "common/base/clock.h"
#include "common/base/signals.h"
#include "common/base/standard_output.h"
#include "common/base/status.h"
#include "common/job/job_print.h"
#include "common/protocol/same_message.h"
#include "common/storage/checkpoint.h"
#include "common/storage/file.h"
#include "tools/shoal/command_parts.h"
#include "tools/shoal/commands.h"
#include "tools/shoal/export_job.h"
#include "tools/shoal/job_file.h"
#include "tools/shoal/local_cluster.h"
#include "tools/shoal/metrics_file.h"
#include "tools/shoal/plots.h"
#include "tools/shoal/progress.h"
#include "tools/shoal/prospects.h"
#include "tools/shoal/report.h"
#include "tools/shoal/scheduler_client.h"
#include "tools/shoal/training_folder.h"

namespace shoal::tools {
namespace {

constexpr absl::Duration kLookEvery = absl::Milliseconds(500);
// For the daemons to stop cleanly.
constexpr absl::Duration kStopTimeout = absl::Seconds(15);
constexpr absl::Duration kStopTimeoutAfterError = absl::Seconds(5);

int ThreadsOfWorker(const TrainFlags& flags) {
  if (flags.threads > 0) return flags.threads;
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()) / flags.workers);
}

class LocalTraining {
 public:
  explicit LocalTraining(TrainFlags flags)
      : flags_(std::move(flags)), env_(PosixEnv()), display_(stderr, isatty(STDERR_FILENO) != 0) {}

  absl::StatusOr<int> Run() {
    SHOAL_ASSIGN_OR_RETURN(spec_, ReadJobFile(env_, flags_.job_file, flags_.set));
    // Otherwise each worker would tell that it lacks one, and the job's failure once more. A training that is
    // resumed may need none.
    if (!flags_.resume) SHOAL_RETURN_IF_ERROR(CheckDataFiles(env_, spec_));
    spec_.mutable_cluster()->set_min_workers(std::min<uint32_t>(flags_.workers, spec_.train().slots()));
    spec_.mutable_cluster()->set_min_servers(flags_.servers);
    SHOAL_RETURN_IF_ERROR(ChooseFolder());
    const std::string idle = IdleWorkersText(flags_.workers, spec_.train().slots());
    if (!idle.empty()) display_.OnMessage(idle);
    SHOAL_ASSIGN_OR_RETURN(stop_, StopSignal::Install());
    const absl::Status started = StartCluster();
    if (Interrupted(started)) return TellStop();
    SHOAL_RETURN_IF_ERROR(started);
    client_ = std::make_unique<SchedulerClient>(cluster_->scheduler(), stop_.get());
    absl::StatusOr<int> code = Train();
    const bool interrupted = Interrupted(code.status());
    if (interrupted) {
      TellWait();
    } else if (!code.ok() && !absl::IsInvalidArgument(code.status())) {
      code = absl::Status(code.status().code(), absl::StrCat(code.status().message(), "\nThe logs are in ",
                                                             JoinPath(out_, "logs")));
    }
    client_.reset();  // otherwise the scheduler would wait for its idle connection
    cluster_->Stop(code.ok() || interrupted ? kStopTimeout : kStopTimeoutAfterError);
    return interrupted ? TellStop() : code;
  }

 private:
  // Whether a stop, or a reader of the progress that has gone, is why a step ended with `status`.
  bool Interrupted(const absl::Status& status) const {
    return absl::IsCancelled(status) && (stop_->requested() || display_.reader_gone());
  }

  absl::Status ChooseFolder() {
    SHOAL_ASSIGN_OR_RETURN(
        folder_,
        TrainingFolder::Claim(env_, flags_.out.empty() ? JoinPath("out", spec_.name()) : flags_.out));
    out_ = folder_->path();
    checkpoints_ = JoinPath(out_, "checkpoints");
    SHOAL_ASSIGN_OR_RETURN(const std::vector<Version> versions, ListCheckpoints(env_, checkpoints_));
    if (!versions.empty()) newest_ = versions.back();
    // A training without a checkpoint, such as one that failed on a typo, is not worth keeping.
    const bool kept = newest_ || env_->FileExists(JoinPath(out_, "model"));
    if (!flags_.resume && kept) {
      return absl::InvalidArgumentError(absl::StrCat(out_,
                                                     " already holds a training: --resume continues it; "
                                                     "for a new one choose another --out, or remove it"));
    }
    SHOAL_ASSIGN_OR_RETURN(const bool has_state, folder_->HasState());
    if (flags_.resume && !newest_ && !has_state) {
      SHOAL_RETURN_IF_ERROR(CheckDataFiles(env_, spec_));
      display_.OnMessage(
          absl::StrCat(out_, " holds nothing to resume: the training starts from the beginning"));
    }
    return absl::OkStatus();
  }

  // A job of another folder's state would train in that folder.
  absl::Status PrepareState() {
    SHOAL_ASSIGN_OR_RETURN(const auto former, folder_->PrepareState());
    if (!former) return absl::OkStatus();
    const std::string where = former->made_in.empty() ? " does not say in which folder it was made"
                                                      : absl::StrCat(" was made in ", former->made_in,
                                                                     ", and names checkpoints there");
    display_.OnMessage(absl::StrCat("The scheduler's state in ", out_, where, ": it is now ", former->aside,
                                    ", and the training ",
                                    newest_ ? "continues from its newest checkpoint"
                                            : "starts from the beginning, as it has no checkpoint"));
    return absl::OkStatus();
  }

  absl::Status StartCluster() {
    SHOAL_RETURN_IF_ERROR(PrepareState());
    LocalCluster::Options options;
    SHOAL_ASSIGN_OR_RETURN(options.programs, DaemonPrograms::Find());
    options.folder = out_;
    options.worker_threads = ThreadsOfWorker(flags_);
    // No other worker will join: the job fails once the existing ones have refused it often enough.
    options.scheduler_flags = {"--fixed-nodes", "--derive-patience-ms", "0"};
    options.scheduler_flags.insert(options.scheduler_flags.end(), flags_.scheduler_flags.begin(),
                                   flags_.scheduler_flags.end());
    options.server_flags = flags_.server_flags;
    options.worker_flags = flags_.worker_flags;
    options.stop = stop_.get();
    SHOAL_ASSIGN_OR_RETURN(cluster_, LocalCluster::Start(std::move(options)));
    for (int i = 0; i < flags_.servers; ++i) SHOAL_RETURN_IF_ERROR(cluster_->AddServer());
    for (int i = 0; i < flags_.workers; ++i) SHOAL_RETURN_IF_ERROR(cluster_->AddWorker());
    return absl::OkStatus();
  }

  // CANCELLED, at any step, when Interrupted.
  absl::StatusOr<int> Train() {
    SHOAL_ASSIGN_OR_RETURN(const JobId job, FindOrSubmit());
    SHOAL_ASSIGN_OR_RETURN(job_, client_->GetJob(job));
    SHOAL_ASSIGN_OR_RETURN(metrics_,
                           MetricsFile::Open(env_, JoinPath(out_, kMetricsFile), job_.origin_version()));
    started_ = absl::Now();
    SHOAL_RETURN_IF_ERROR(Follow(job));
    SHOAL_ASSIGN_OR_RETURN(job_, client_->GetJob(job));
    return Conclude();
  }

  // After the daemons have ended: they may still have written a checkpoint. Returns the exit code.
  int TellStop() {
    display_.OnMessage(StopText(std::max(shown_round_, job_.version()), NewestCheckpoint()));
    return stop_->requested() ? kExitInterrupted : kExitReaderGone;
  }

  // Its version; 0 without one.
  uint64_t NewestCheckpoint() const {
    const auto versions = ListCheckpoints(env_, checkpoints_);
    return versions.ok() && !versions->empty() ? versions->back().value() : 0;
  }

  void TellWait() {
    const std::string busy = BusyNodesText(status_);
    display_.OnMessage(
        absl::StrCat("Stopping: waits up to ", absl::FormatDuration(kStopTimeout), " for the daemons to end",
                     busy.empty() ? "" : absl::StrCat(" (", busy, ")"), "; a second Ctrl-C does not wait"));
  }

  // The job of this folder, or a new one that starts from its newest checkpoint.
  absl::StatusOr<JobId> FindOrSubmit() {
    SHOAL_ASSIGN_OR_RETURN(const std::vector<Job> jobs, client_->ListJobs());
    if (!jobs.empty()) {
      SHOAL_ASSIGN_OR_RETURN(const Job last, client_->GetJob(JobId(jobs.back().job())));
      const std::string ours = NumericsText(spec_), theirs = NumericsText(last.spec());
      const std::string differences = JobDifferences(ours, theirs);
      const bool same = differences.empty();
      if (!same && newest_ && !DifferOnlyInLength(ours, theirs)) {
        return absl::InvalidArgumentError(absl::StrCat(flags_.job_file, " differs from the job in ", out_,
                                                       ", so it can't resume it: ", differences));
      }
      if (newest_ && spec_.train().has_rounds() && newest_->value() > spec_.train().rounds()) {
        return absl::InvalidArgumentError(
            absl::StrCat("train.rounds: the training in ", out_, " has gone on for ", newest_->value(),
                         " rounds, this job has only ", spec_.train().rounds()));
      }
      const bool ended = last.state() == JOB_STATE_FAILED || last.state() == JOB_STATE_CANCELLED;
      // A job that has not started may be waiting for more nodes than this command starts.
      const bool fits = last.view().view() > 0 || SameMessage(last.spec().cluster(), spec_.cluster());
      if (same && fits && !ended) return JobId(last.job());
      if (!ended && last.state() != JOB_STATE_COMPLETED)
        SHOAL_RETURN_IF_ERROR(client_->Cancel(JobId(last.job())));
    }
    SubmitJobRequest request;
    request.set_request_id(absl::StrCat("train-", jobs.size() + 1));
    *request.mutable_spec() = spec_;
    request.set_checkpoint_dir(checkpoints_);
    if (newest_) request.set_resume_from(JoinPath(checkpoints_, CheckpointName(*newest_)));
    return client_->Submit(request);
  }

  // CANCELLED: a stop was requested, or the reader of the progress has gone.
  absl::Status Follow(JobId job) {
    FollowOptions options;
    options.stop = stop_.get();
    options.look_every = kLookEvery;
    options.on_event = [this](const JobEvent& event) { OnEvent(event); };
    options.look = [this] { return Look(); };
    options.on_silence = [this](const std::string& text) { display_.OnMessage(text); };
    return FollowJob(client_.get(), job, options);
  }

  void OnEvent(const JobEvent& event) {
    if (!job_.has_plan()) {
      const auto now = client_->GetJob(JobId(job_.job()));
      if (now.ok()) job_ = *now;
    }
    const Json line = MetricsLine(spec_, event);
    if (!line.is_null()) metrics_->Add(line);
    // Leaves out what an earlier run of this command has already shown.
    if (absl::FromUnixMillis(event.unix_ms()) >= started_ - absl::Seconds(10)) display_.OnEvent(job_, event);
    shown_round_ = std::max({shown_round_, event.progress().round(), event.metric().round(),
                             event.evaluation().version(), event.checkpoint()});
  }

  // An error when the training can't continue.
  absl::Status Look() {
    if (display_.reader_gone()) return absl::CancelledError("the reader of the progress has gone");
    SHOAL_ASSIGN_OR_RETURN(const LiveNodes live, CountProcesses());
    const auto now = client_->GetJob(JobId(job_.job()));
    if (!now.ok()) return absl::OkStatus();  // FollowJob asks too, and limits how long
    job_ = *now;
    const auto status = client_->GetStatus();
    if (!status.ok()) return absl::OkStatus();
    status_ = *status;
    display_.OnStalls(StallsOf(status_, JobId(job_.job())));
    return prospects_.Check(MonotonicNow(), live, job_, status_);
  }

  absl::StatusOr<LiveNodes> CountProcesses() {
    LiveNodes live;
    for (const auto& [name, process] : cluster_->processes()) {
      const auto ended = process->Ended();
      if (!ended) {
        live.servers += absl::StartsWith(name, "server");
        live.workers += absl::StartsWith(name, "worker");
      } else if (name == "scheduler") {
        return absl::UnavailableError(
            absl::StrCat("the scheduler has ended (", *ended, "):\n", EndOfLog(cluster_->LogOf(name))));
      } else if (reported_.insert(name).second) {
        display_.OnMessage(
            absl::StrCat(name, " has ended (", *ended, "): ", EndOfLog(cluster_->LogOf(name), 1)));
      }
    }
    return live;
  }

  // Exports the result; returns the lines that say where. For an adapter that can't be written, a message
  // says why: the model is whole without it.
  absl::StatusOr<std::string> Export() {
    const auto write = [&](const std::string& folder, ExportLayout layout) {
      return ExportJob(env_, client_.get(), job_, job_.result().checkpoint(), folder, layout);
    };
    const std::string model = JoinPath(out_, "model"), adapter = JoinPath(out_, "adapter");
    SHOAL_RETURN_IF_ERROR(write(model, ExportLayout::kModel));
    const std::string line = absl::StrCat("Model:   ", model, "\n");
    if (!job_.spec().has_lora()) return line;
    const absl::Status status = write(adapter, ExportLayout::kAdapter);
    if (status.ok()) return absl::StrCat(line, "Adapter: ", adapter, "\n");
    if (!absl::IsUnimplemented(status)) return status;
    display_.OnMessage(absl::StrCat("there is no adapter: ", status.message()));
    return line;
  }

  absl::StatusOr<int> Conclude() {
    const std::string report = JoinPath(out_, "report.json"), plots = JoinPath(out_, "plots");
    absl::Status saved = env_->WriteFileAtomic(report, ReportJson(job_).dump(2) + "\n");
    std::string exported;
    if (job_.state() == JOB_STATE_COMPLETED) {
      SHOAL_RETURN_IF_ERROR(saved);
      SHOAL_ASSIGN_OR_RETURN(exported, Export());
    }
    const int code = ShowEnd(job_, flags_.json);
    saved.Update(metrics_->status());
    const auto metrics = env_->ReadFile(JoinPath(out_, kMetricsFile));
    saved.Update(metrics.ok() ? WritePlots(env_, plots, *metrics, job_) : metrics.status());
    if (!exported.empty() && !flags_.json) {
      absl::FPrintF(stdout, "Report:  %s\n%s", report, exported);
      if (saved.ok()) absl::FPrintF(stdout, "Plots:   %s\n", plots);
    }
    SHOAL_RETURN_IF_ERROR(saved);
    return code;
  }

  const TrainFlags flags_;
  Env* const env_;
  ProgressDisplay display_;
  JobSpec spec_;
  std::string out_, checkpoints_;
  std::optional<Version> newest_;  // the newest checkpoint at the start
  std::unique_ptr<TrainingFolder> folder_;
  Prospects prospects_;
  std::unique_ptr<StopSignal> stop_;
  std::unique_ptr<LocalCluster> cluster_;
  std::unique_ptr<SchedulerClient> client_;
  Job job_;
  ClusterStatus status_;  // of the last look
  uint64_t shown_round_ = 0;
  std::unique_ptr<MetricsFile> metrics_;
  absl::Time started_;
  std::set<std::string> reported_;
};

}  // namespace

absl::StatusOr<int> TrainLocally(const TrainFlags& flags) { return LocalTraining(flags).Run(); }

}  // namespace shoal::tools
