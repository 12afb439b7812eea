// What a worker's Push stream is bound to, independent of the transport.
#pragma once

#include <functional>
#include <memory>

#include "absl/status/statusor.h"
#include "common/protocol/view_key.h"
#include "server/shard_host.h"

namespace shoal::server {

// The first contribution binds the stream to its job, training and view: the stream ends with that view, even
// if nothing more arrives. Not thread-safe, except for view(), which does not change once the job knows the
// stream.
class PushBinding {
 public:
  // Errors: FAILED_PRECONDITION when there is no such job.
  using FindJob = std::function<absl::StatusOr<std::shared_ptr<ShardHost>>(JobId)>;

  // Returns the job that a contribution for `view` goes to. The first call attaches `stream` to the job
  // returned by `find`. Errors, which end the stream: FAILED_PRECONDITION when `view` is not the view that
  // the stream is bound to, is not the job's newest, or when the job is over; errors of `find`.
  absl::StatusOr<std::shared_ptr<ShardHost>> Bind(const ViewKey& view,
                                                  const std::shared_ptr<WorkerStream>& stream,
                                                  const FindJob& find);
  // The stream has ended.
  void Release(const std::shared_ptr<WorkerStream>& stream);

  const ViewKey& view() const { return view_; }

 private:
  ViewKey view_;  // its number is 0 until bound
  std::weak_ptr<ShardHost> job_;
};

}  // namespace shoal::server
