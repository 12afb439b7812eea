// SchedulerService over gRPC: turns calls into events of a SchedulerNode.
#pragma once

#include "proto/scheduler.grpc.pb.h"
#include "scheduler/scheduler_node.h"

namespace shoal::scheduler {

// Sessions are callback reactors, so that a thousand nodes don't need a thousand threads; the rest is
// synchronous. A session reads a report only when it has handled the one before it, so reports wait at the
// node; directives wait in a DirectiveQueue.
using SchedulerServiceBase = SchedulerService::WithCallbackMethod_Session<SchedulerService::Service>;

class SchedulerServiceImpl : public SchedulerServiceBase {
 public:
  // `node` must outlive the RPC server.
  explicit SchedulerServiceImpl(SchedulerNode* node) : node_(node) {}

  grpc::Status Join(grpc::ServerContext*, const JoinRequest* request,
                    JoinResponse* response) noexcept override;
  grpc::ServerBidiReactor<NodeReport, Directive>* Session(
      grpc::CallbackServerContext* context) noexcept override;
  grpc::Status PutArtifact(grpc::ServerContext*, grpc::ServerReader<ArtifactChunk>* reader,
                           PutArtifactResponse*) noexcept override;
  grpc::Status GetArtifact(grpc::ServerContext*, const GetArtifactRequest* request,
                           grpc::ServerWriter<ArtifactChunk>* writer) override;

  grpc::Status SubmitJob(grpc::ServerContext*, const SubmitJobRequest* request,
                         SubmitJobResponse* response) noexcept override;
  grpc::Status CancelJob(grpc::ServerContext*, const CancelJobRequest* request,
                         CancelJobResponse*) noexcept override;
  grpc::Status GetJob(grpc::ServerContext*, const GetJobRequest* request, Job* response) override;
  grpc::Status ListJobs(grpc::ServerContext*, const ListJobsRequest* request,
                        ListJobsResponse* response) override;
  grpc::Status WatchJob(grpc::ServerContext* context, const WatchJobRequest* request,
                        grpc::ServerWriter<JobEvent>* writer) override;
  grpc::Status GetStatus(grpc::ServerContext*, const GetStatusRequest*, ClusterStatus* response) override;

 private:
  SchedulerNode* const node_;
};

}  // namespace shoal::scheduler
