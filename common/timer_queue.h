// A thread that runs tasks at their time.
#pragma once

#include <functional>
#include <map>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace shoal {

// Tasks run one at a time, in order of their time, those of one time in order of adding. Thread-safe.
class TimerQueue {
 public:
  TimerQueue();
  // Stops.
  ~TimerQueue();
  TimerQueue(const TimerQueue&) = delete;
  TimerQueue& operator=(const TimerQueue&) = delete;

  // Runs `task` once, after `delay`, on the queue's thread; dropped when the queue has stopped. Tasks may add
  // tasks.
  void After(absl::Duration delay, std::function<void()> task) ABSL_LOCKS_EXCLUDED(mutex_);

  // Waits for the task that runs and drops those that wait. Not to be called from a task.
  void Stop() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  void Run() ABSL_LOCKS_EXCLUDED(mutex_);

  absl::Mutex mutex_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::multimap<absl::Time, std::function<void()>> tasks_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace shoal
