// Runs work on files so that a folder that hangs holds up only itself.
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

// One executor for each folder with work: work on one folder is done in order of arrival, work on different
// folders in parallel. Thread-safe.
//
// Bounded for a folder that hangs: work that others wait for is limited by them (a job has few commits and
// checks in progress); what could be posted again and again meanwhile must use PostIfRoom.
class FolderExecutors {
 public:
  // The most tasks of PostIfRoom, waiting or running, for one folder.
  static constexpr size_t kMaxOptional = 1000;

  explicit FolderExecutors(ExecutorFactory factory) : factory_(std::move(factory)) {}
  // Calls Stop.
  ~FolderExecutors() { Stop(); }
  FolderExecutors(const FolderExecutors&) = delete;
  FolderExecutors& operator=(const FolderExecutors&) = delete;

  // Tasks posted after Stop are dropped.
  void Post(const std::string& folder, std::function<void()> task) ABSL_LOCKS_EXCLUDED(mutex_);
  // The same, for work that may be left out: returns false, without effect, when there is no room for it.
  bool PostIfRoom(const std::string& folder, std::function<void()> task) ABSL_LOCKS_EXCLUDED(mutex_);

  // Releases idle executors. Call from time to time, but not from a task; never blocks for long.
  void Sweep() ABSL_LOCKS_EXCLUDED(mutex_);

  // Waits for running tasks, however long they take, and drops waiting ones. Must not be called from a task.
  void Stop() ABSL_LOCKS_EXCLUDED(mutex_);

  size_t size() const ABSL_LOCKS_EXCLUDED(mutex_);
  // How many tasks of PostIfRoom wait or run for the folder that has most; at most kMaxOptional.
  size_t most_optional() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Folder {
    std::unique_ptr<Executor> executor;
    size_t tasks = 0;     // waiting or running
    size_t optional = 0;  // those of PostIfRoom among them
  };

  void Add(const std::string& folder, bool optional, std::function<void()> task)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const ExecutorFactory factory_;
  mutable absl::Mutex mutex_;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  std::map<std::string, Folder> folders_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace shoal::scheduler
