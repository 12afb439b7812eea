// Work on files, so that a folder that does not answer holds up nothing but itself.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/base/executor.h"

namespace shoal::scheduler {

// An executor for each folder that there is work on: work on one folder is done in the order in which it
// comes, of different ones side by side. Thread-safe.
class FolderExecutors {
 public:
  explicit FolderExecutors(ExecutorFactory factory) : factory_(std::move(factory)) {}
  // Stops.
  ~FolderExecutors() { Stop(); }
  FolderExecutors(const FolderExecutors&) = delete;
  FolderExecutors& operator=(const FolderExecutors&) = delete;

  // Dropped once stopped.
  void Post(const std::string& folder, std::function<void()> task) ABSL_LOCKS_EXCLUDED(mutex_);

  // Gives back the executors that have nothing to do. From time to time; never blocks for long; not by a
  // task.
  void Sweep() ABSL_LOCKS_EXCLUDED(mutex_);

  // Waits for what runs, for as long as it takes, and drops what waits. Not to be called by a task.
  void Stop() ABSL_LOCKS_EXCLUDED(mutex_);

  size_t size() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Folder {
    std::unique_ptr<Executor> executor;
    size_t tasks = 0;  // that wait or run
  };

  const ExecutorFactory factory_;
  mutable absl::Mutex mutex_;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  std::map<std::string, Folder> folders_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace shoal::scheduler
