// A node's session with the scheduler over gRPC.
#pragma once

#include <functional>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/rpc/scheduler_link.h"
#include "grpcpp/grpcpp.h"
#include "proto/scheduler.grpc.pb.h"

namespace shoal {

// Starts no threads: gRPC's own threads call back.
class GrpcSchedulerLink : public SchedulerLink {
 public:
  explicit GrpcSchedulerLink(std::shared_ptr<grpc::Channel> channel);
  ~GrpcSchedulerLink() override;

  void Join(const JoinRequest& request, absl::Duration timeout,
            std::function<void(absl::StatusOr<JoinResponse>)> done) override;
  std::unique_ptr<SchedulerStream> Open(const Hello& hello, SchedulerStreamEvents* events) override;

 private:
  struct JoinCall;

  const std::unique_ptr<SchedulerService::Stub> stub_;
  absl::Mutex mutex_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  int running_ ABSL_GUARDED_BY(mutex_) = 0;                 // pending callbacks
  std::shared_ptr<JoinCall> join_ ABSL_GUARDED_BY(mutex_);  // the last
};

}  // namespace shoal
