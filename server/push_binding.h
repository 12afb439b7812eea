// What a worker's Push stream is bound to, whatever carries it.
#pragma once

#include <functional>
#include <memory>

#include "absl/status/statusor.h"
#include "common/protocol/view_key.h"
#include "server/shard_host.h"

namespace shoal::server {

// The first contribution binds the stream to its job, training and view: it ends with that view, also when
// nothing more comes. Not thread-safe, but for view(), which does not change once the job knows the stream.
class PushBinding {
 public:
  // Errors: NOT_FOUND when there is no such job.
  using FindJob = std::function<absl::StatusOr<std::shared_ptr<ShardHost>>(JobId)>;

  // The job that a contribution of `view` goes to. The first one attaches `stream` to the job that `find`
  // has. Errors, by which the stream ends: FAILED_PRECONDITION when `view` is not what it is bound to, or not
  // the job's newest, or when the job is over; what `find` says.
  absl::StatusOr<std::shared_ptr<ShardHost>> Bind(const ViewKey& view,
                                                  const std::shared_ptr<WorkerStream>& stream,
                                                  const FindJob& find);
  // The stream is over.
  void Release(const std::shared_ptr<WorkerStream>& stream);

  const ViewKey& view() const { return view_; }

 private:
  ViewKey view_;  // its number is 0 until it is bound
  std::weak_ptr<ShardHost> job_;
};

}  // namespace shoal::server
