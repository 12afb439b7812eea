#include "tools/shoal/scheduler_client.h"

#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/rpc/address.h"
#include "common/rpc/grpc_deadline.h"
#include "common/rpc/rpc.h"

namespace shoal::tools {
namespace {

constexpr absl::Duration kCallTimeout = absl::Seconds(10);
// How often a call that waits for its answer looks whether to stop.
constexpr absl::Duration kStopPoll = absl::Milliseconds(20);

// gRPC's words, which are all that tells a call that was sent from one that was not.
bool NeverConnected(const grpc::Status& answer) {
  return answer.error_details().empty() &&
         absl::StartsWithIgnoreCase(answer.error_message(), "failed to connect");
}

// The status of a call to the scheduler at `address`, worded for users. `unsure`: added when the scheduler
// may have carried it out.
absl::Status Explain(const grpc::Status& answer, const std::string& address, const std::string& unsure) {
  const absl::Status status = FromGrpcStatus(answer);
  if (status.ok()) return status;
  if (IsForeign(answer)) {
    return absl::FailedPreconditionError(
        absl::StrCat("what ", NoSchedulerText(address, status.message()), ": check --scheduler"));
  }
  if (absl::IsDeadlineExceeded(status)) {
    return absl::UnavailableError(absl::StrCat("the scheduler at ", address, " has not answered for ",
                                               absl::FormatDuration(kCallTimeout),
                                               ": check the network, and the scheduler's log", unsure));
  }
  if (!absl::IsUnavailable(status)) return status;
  if (NeverConnected(answer)) {
    return absl::UnavailableError(
        absl::StrCat("no scheduler answers at ", address,
                     ": start one with `shoal-scheduler`, or give its address with --scheduler HOST:PORT"));
  }
  return absl::UnavailableError(
      absl::StrCat("the scheduler at ", address, " does not answer: ", status.message(), unsure));
}

}  // namespace

SchedulerClient::SchedulerClient(std::string address, const StopSignal* stop)
    : address_(std::move(address)),
      stop_(stop),
      channel_(NewChannel(address_)),
      stub_(SchedulerService::NewStub(channel_)) {}

template <typename Request, typename Response>
absl::Status SchedulerClient::Call(Method<Request, Response> method, const Request& request,
                                   Response* response, const std::string& unsure) {
  if (stopped()) return absl::CancelledError("interrupted");
  // Not gRPC's blocking call: no signal would end it before its deadline.
  grpc::CompletionQueue queue;
  grpc::ClientContext context;
  SetDeadline(&context, kCallTimeout);
  const auto call = (stub_.get()->*method)(&context, request, &queue);
  grpc::Status status;
  call->Finish(response, &status, /*tag=*/nullptr);
  void* tag = nullptr;
  bool ok = false;
  while (queue.AsyncNext(&tag, &ok, GrpcDeadline(kStopPoll)) == grpc::CompletionQueue::TIMEOUT) {
    if (stopped()) context.TryCancel();
  }
  return Explain(status, address_, unsure);
}

absl::StatusOr<JobId> SchedulerClient::Submit(const SubmitJobRequest& request) {
  SubmitJobResponse response;
  SHOAL_RETURN_IF_ERROR(Call(&SchedulerService::Stub::AsyncSubmitJob, request, &response,
                             "; `shoal jobs` shows whether it has the job"));
  return JobId(response.job());
}

absl::Status SchedulerClient::Cancel(JobId job) {
  CancelJobRequest request;
  request.set_job(job.value());
  CancelJobResponse response;
  return Call(&SchedulerService::Stub::AsyncCancelJob, request, &response);
}

absl::StatusOr<Job> SchedulerClient::GetJob(JobId job) {
  GetJobRequest request;
  request.set_job(job.value());
  Job response;
  SHOAL_RETURN_IF_ERROR(Call(&SchedulerService::Stub::AsyncGetJob, request, &response));
  return response;
}

absl::StatusOr<std::vector<Job>> SchedulerClient::ListJobs() {
  std::vector<Job> jobs;
  ListJobsRequest request;
  ListJobsResponse response;
  do {
    response.Clear();
    SHOAL_RETURN_IF_ERROR(Call(&SchedulerService::Stub::AsyncListJobs, request, &response));
    for (Job& job : *response.mutable_jobs()) jobs.push_back(std::move(job));
    if (!jobs.empty()) request.set_after(jobs.back().job());
  } while (response.more() && response.jobs_size() > 0);
  return jobs;
}

absl::StatusOr<ClusterStatus> SchedulerClient::GetStatus() {
  ClusterStatus response;
  SHOAL_RETURN_IF_ERROR(Call(&SchedulerService::Stub::AsyncGetStatus, GetStatusRequest(), &response));
  return response;
}

absl::Status SchedulerClient::Watch(JobId job, uint64_t* after, absl::Duration timeout,
                                    const std::function<bool(const JobEvent&)>& on_event) {
  grpc::ClientContext context;
  SetDeadline(&context, timeout);
  WatchJobRequest request;
  request.set_job(job.value());
  request.set_after_sequence(*after);
  const auto stream = stub_->WatchJob(&context, request);
  JobEvent event;
  while (stream->Read(&event)) {
    if (event.sequence() > 0) *after = event.sequence();
    if (on_event(event)) continue;
    context.TryCancel();
    (void)stream->Finish();
    return absl::CancelledError("stopped");
  }
  const grpc::Status status = stream->Finish();
  return status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED
             ? absl::UnavailableError("time to look again")
             : Explain(status, address_, "");
}

}  // namespace shoal::tools
