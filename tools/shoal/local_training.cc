#include "tools/shoal/local_training.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "common/checkpoint.h"
#include "common/file.h"
#include "common/job_print.h"
#include "common/signals.h"
#include "common/status.h"
#include "tools/shoal/command_parts.h"
#include "tools/shoal/commands.h"
#include "tools/shoal/export_job.h"
#include "tools/shoal/job_file.h"
#include "tools/shoal/local_cluster.h"
#include "tools/shoal/progress.h"
#include "tools/shoal/report.h"
#include "tools/shoal/scheduler_client.h"

namespace shoal {
namespace {

constexpr absl::Duration kWatchSlice = absl::Milliseconds(500);
constexpr absl::Duration kStopTimeout = absl::Seconds(15);

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
    spec_.mutable_cluster()->set_min_workers(std::min<uint32_t>(flags_.workers, spec_.train().slots()));
    spec_.mutable_cluster()->set_min_servers(flags_.servers);
    SHOAL_RETURN_IF_ERROR(ChooseFolder());
    SHOAL_ASSIGN_OR_RETURN(stop_, StopSignal::Install());
    SHOAL_RETURN_IF_ERROR(StartCluster());
    client_ = std::make_unique<SchedulerClient>(cluster_->scheduler());
    absl::StatusOr<int> code = Train();
    if (!code.ok()) code = Annotate(code.status(), absl::StrCat("logs are in ", JoinPath(out_, "logs")));
    client_.reset();  // the scheduler would wait for its idle connection
    cluster_->Stop(kStopTimeout);
    return code;
  }

 private:
  absl::Status ChooseFolder() {
    SHOAL_ASSIGN_OR_RETURN(out_,
                           AbsolutePath(flags_.out.empty() ? JoinPath("out", spec_.name()) : flags_.out));
    checkpoints_ = JoinPath(out_, "checkpoints");
    SHOAL_ASSIGN_OR_RETURN(const std::vector<Version> versions, ListCheckpoints(env_, checkpoints_));
    if (!versions.empty()) newest_ = versions.back();
    // A training without a checkpoint, like one that failed on a typo, is nothing to be kept.
    const bool kept = newest_ || env_->FileExists(JoinPath(out_, "model"));
    if (!flags_.resume && kept) {
      return absl::InvalidArgumentError(absl::StrCat(out_,
                                                     " holds a training already: --resume goes on with it; "
                                                     "for a new one name another --out, or remove it"));
    }
    return env_->CreateDirs(out_);
  }

  absl::Status StartCluster() {
    LocalCluster::Options options;
    SHOAL_ASSIGN_OR_RETURN(options.programs, DaemonPrograms::Find());
    options.folder = out_;
    options.worker_threads = ThreadsOfWorker(flags_);
    options.scheduler_flags = flags_.scheduler_flags;
    options.server_flags = flags_.server_flags;
    options.worker_flags = flags_.worker_flags;
    SHOAL_ASSIGN_OR_RETURN(cluster_, LocalCluster::Start(std::move(options)));
    for (int i = 0; i < flags_.servers; ++i) SHOAL_RETURN_IF_ERROR(cluster_->AddServer());
    for (int i = 0; i < flags_.workers; ++i) SHOAL_RETURN_IF_ERROR(cluster_->AddWorker());
    return absl::OkStatus();
  }

  absl::StatusOr<int> Train() {
    SHOAL_ASSIGN_OR_RETURN(const JobId job, FindOrSubmit());
    SHOAL_ASSIGN_OR_RETURN(job_, client_->GetJob(job));
    metrics_.open(JoinPath(out_, "metrics.jsonl"), std::ios::trunc);
    if (!metrics_) return MetricsError();
    started_ = absl::Now();
    SHOAL_ASSIGN_OR_RETURN(const bool ended, Follow(job));
    if (!ended) {
      const auto now = client_->GetJob(job);
      absl::FPrintF(stderr, "Stopped at round %d. To go on: the same command with --resume\n",
                    std::max(shown_round_, now.ok() ? now->version() : 0));
      return kExitInterrupted;
    }
    SHOAL_ASSIGN_OR_RETURN(job_, client_->GetJob(job));
    return Conclude();
  }

  // The job of this folder, or a new one, from the newest checkpoint that is there.
  absl::StatusOr<JobId> FindOrSubmit() {
    SHOAL_ASSIGN_OR_RETURN(const std::vector<Job> jobs, client_->ListJobs());
    if (!jobs.empty()) {
      SHOAL_ASSIGN_OR_RETURN(const Job last, client_->GetJob(JobId(jobs.back().job())));
      const bool same = NumericsText(last.spec()) == NumericsText(spec_);
      if (!same && newest_) {
        return absl::InvalidArgumentError(
            absl::StrCat(flags_.job_file, " is another job than the one in ", out_,
                         ": model, data, optimizer, schedule, seed or slots differ"));
      }
      const bool ended = last.state() == JOB_STATE_FAILED || last.state() == JOB_STATE_CANCELLED;
      if (same && !ended) return JobId(last.job());
      if (!ended) SHOAL_RETURN_IF_ERROR(client_->Cancel(JobId(last.job())));
    }
    SubmitJobRequest request;
    request.set_request_id(absl::StrCat("train-", jobs.size() + 1));
    *request.mutable_spec() = spec_;
    request.set_checkpoint_dir(checkpoints_);
    if (newest_) request.set_resume_from(JoinPath(checkpoints_, CheckpointName(*newest_)));
    return client_->Submit(request);
  }

  // True: the job has ended. False: a stop was asked for.
  absl::StatusOr<bool> Follow(JobId job) {
    uint64_t after = 0;
    while (true) {
      const absl::Status status = client_->Watch(job, &after, kWatchSlice, [&](const JobEvent& event) {
        OnEvent(event);
        return !stop_->requested();
      });
      if (status.ok()) return true;
      if (stop_->requested()) return false;
      SHOAL_RETURN_IF_ERROR(CheckProcesses());
      if (!absl::IsUnavailable(status)) return status;
      const auto now = client_->GetJob(job);
      if (now.ok()) job_ = *now;
      ExplainWaiting();
    }
  }

  void OnEvent(const JobEvent& event) {
    if (!job_.has_plan()) {
      const auto now = client_->GetJob(JobId(job_.job()));
      if (now.ok()) job_ = *now;
    }
    const Json line = MetricsLine(spec_, event);
    if (!line.is_null()) metrics_ << line.dump() << std::endl;
    // What an earlier run of this command has shown already is left out.
    if (absl::FromUnixMillis(event.unix_ms()) >= started_ - absl::Seconds(10)) display_.OnEvent(job_, event);
    shown_round_ = std::max({shown_round_, event.progress().round(), event.metric().round(),
                             event.evaluation().version(), event.checkpoint()});
  }

  void ExplainWaiting() {
    if (job_.reason().empty() || job_.reason() == explained_) return;
    explained_ = job_.reason();
    JobEvent event;
    event.set_message(explained_);
    display_.OnEvent(job_, event);
  }

  absl::Status MetricsError() const {
    return absl::UnavailableError(absl::StrCat(JoinPath(out_, "metrics.jsonl"), " can't be written"));
  }

  absl::Status CheckProcesses() {
    bool worker = false, server = false;
    for (const auto& [name, process] : cluster_->processes()) {
      const auto ended = process->Ended();
      if (!ended) {
        worker = worker || name.rfind("worker", 0) == 0;
        server = server || name.rfind("server", 0) == 0;
        continue;
      }
      if (name == "scheduler") return Ended(name, *ended);
      if (!reported_.insert(name).second) continue;
      JobEvent event;
      event.set_message(absl::StrCat(name, " has ended (", *ended, ")"));
      display_.OnEvent(job_, event);
    }
    if (!worker) return absl::UnavailableError("all workers have ended");
    if (!server) return absl::UnavailableError("all servers have ended");
    return absl::OkStatus();
  }

  absl::Status Ended(const std::string& name, const std::string& how) {
    return absl::UnavailableError(
        absl::StrCat("the ", name, " has ended (", how, "):\n", EndOfLog(cluster_->LogOf(name))));
  }

  absl::StatusOr<int> Conclude() {
    SHOAL_RETURN_IF_ERROR(
        env_->WriteFileAtomic(JoinPath(out_, "report.json"), ReportJson(job_).dump(2) + "\n"));
    const std::string model = JoinPath(out_, "model");
    const bool completed = job_.state() == JOB_STATE_COMPLETED;
    if (completed)
      SHOAL_RETURN_IF_ERROR(ExportJob(env_, client_.get(), job_, job_.result().checkpoint(), model));
    const int code = ShowEnd(job_, flags_.json);
    if (completed && !flags_.json)
      absl::FPrintF(stdout, "Report: %s\nModel:  %s\n", JoinPath(out_, "report.json"), model);
    return metrics_ ? absl::StatusOr<int>(code) : MetricsError();
  }

  const TrainFlags flags_;
  Env* const env_;
  ProgressDisplay display_;
  JobSpec spec_;
  std::string out_, checkpoints_;
  std::optional<Version> newest_;  // checkpoint that was there at the start
  std::unique_ptr<StopSignal> stop_;
  std::unique_ptr<LocalCluster> cluster_;
  std::unique_ptr<SchedulerClient> client_;
  Job job_;
  uint64_t shown_round_ = 0;
  std::ofstream metrics_;
  absl::Time started_;
  std::string explained_;
  std::set<std::string> reported_;
};

}  // namespace

absl::StatusOr<int> TrainLocally(const TrainFlags& flags) { return LocalTraining(flags).Run(); }

}  // namespace shoal
