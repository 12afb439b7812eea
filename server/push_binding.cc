#include "server/push_binding.h"

#include "common/base/status.h"

namespace shoal::server {

absl::StatusOr<std::shared_ptr<ShardHost>> PushBinding::Bind(const ViewKey& view,
                                                             const std::shared_ptr<WorkerStream>& stream,
                                                             const FindJob& find) {
  if (view_.view != ViewId(0)) {
    SHOAL_RETURN_IF_ERROR(CheckKey(view, view_));
    if (auto job = job_.lock()) return job;
    return absl::FailedPreconditionError("the job has ended on this server");
  }
  SHOAL_ASSIGN_OR_RETURN(std::shared_ptr<ShardHost> job, find(view.job));
  view_ = view;
  SHOAL_RETURN_IF_ERROR(job->Attach(stream));
  job_ = job;
  return job;
}

void PushBinding::Release(const std::shared_ptr<WorkerStream>& stream) {
  if (const auto job = job_.lock()) job->Detach(stream);
}

}  // namespace shoal::server
