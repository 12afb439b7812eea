// The scheduler's user calls, with deadlines.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/signals.h"
#include "common/base/types.h"
#include "grpcpp/grpcpp.h"
#include "proto/scheduler.grpc.pb.h"

namespace shoal::tools {

// Thread-safe. Errors: the scheduler's; UNAVAILABLE when it can't be reached, FAILED_PRECONDITION when
// another program answers, both with the address and what to do; CANCELLED once `stop` is requested, also
// while a call waits for its answer, except for Watch, whose caller chooses how long it takes.
class SchedulerClient {
 public:
  // `stop`, if any, must outlive the client.
  explicit SchedulerClient(std::string address, const StopSignal* stop = nullptr);

  absl::StatusOr<JobId> Submit(const SubmitJobRequest& request);
  absl::Status Cancel(JobId job);
  absl::StatusOr<Job> GetJob(JobId job);
  absl::StatusOr<std::vector<Job>> ListJobs();
  absl::StatusOr<ClusterStatus> GetStatus();

  // Reads the job's events from `after` on, calling `on_event`, which returns false to stop, until the job
  // has ended (OK) or the stream breaks or `timeout` has passed (UNAVAILABLE: call again). Keeps `after` up
  // to date.
  absl::Status Watch(JobId job, uint64_t* after, absl::Duration timeout,
                     const std::function<bool(const JobEvent&)>& on_event);

  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }
  const std::string& address() const { return address_; }

 private:
  template <typename Request, typename Response>
  using Method = std::unique_ptr<grpc::ClientAsyncResponseReader<Response>> (SchedulerService::Stub::*)(
      grpc::ClientContext*, const Request&, grpc::CompletionQueue*);
  template <typename Request, typename Response>
  absl::Status Call(Method<Request, Response> method, const Request& request, Response* response,
                    const std::string& unsure = "");
  bool stopped() const { return stop_ != nullptr && stop_->requested(); }

  const std::string address_;
  const StopSignal* const stop_;
  const std::shared_ptr<grpc::Channel> channel_;
  const std::unique_ptr<SchedulerService::Stub> stub_;
};

}  // namespace shoal::tools
