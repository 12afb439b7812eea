// The streams on which workers push and pull.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "common/base/types.h"
#include "common/protocol/view_key.h"

namespace shoal::server {

// A worker's Pull or Push as the job sees it: it ends with its view. Woken and ended on any thread, with none
// of the job's locks held.
class WorkerStream {
 public:
  virtual ~WorkerStream() = default;
  virtual ViewKey view() const = 0;  // the same while it is attached; takes no lock
  // A new version of the block is available: see server/subscription.h.
  virtual void Wake(BlockId /*block*/) {}
  virtual void End(const absl::Status& status) = 0;
};

// The attached streams, in order of arrival. Which views may attach is the caller's decision. Shares
// ownership of a stream until it is detached or ended.
//
// Thread-safe. Its lock is taken last, and not held while a stream is woken or ended, so that a stream may
// attach and detach others then. A stream may therefore still be woken just after it was detached or ended.
class WorkerStreams {
 public:
  static constexpr size_t kMaxStreams = 2 * 4096;  // attached at a time: two for each of a job's workers

  // From now on Wake and End reach `stream`. Errors: RESOURCE_EXHAUSTED beyond kMaxStreams, without effect.
  absl::Status Attach(std::shared_ptr<WorkerStream> stream) ABSL_LOCKS_EXCLUDED(mutex_);
  // Does nothing when it is not attached.
  void Detach(const std::shared_ptr<WorkerStream>& stream) ABSL_LOCKS_EXCLUDED(mutex_);

  // Wakes the streams of `view`: the block has a new version.
  void Wake(ViewId view, BlockId block) const ABSL_LOCKS_EXCLUDED(mutex_);
  // Detaches and ends the streams of all views other than `except`.
  void End(ViewId except, const absl::Status& status) ABSL_LOCKS_EXCLUDED(mutex_);
  size_t size() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  mutable absl::Mutex mutex_;
  std::vector<std::shared_ptr<WorkerStream>> streams_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace shoal::server
