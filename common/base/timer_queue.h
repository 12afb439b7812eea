// An executor with a thread of its own.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

#include "common/base/executor.h"

namespace shoal {

// Uses std::condition_variable because it can wait by the monotonic clock; absl::Mutex uses the wall clock.
// Thread-safe.
class TimerQueue : public Executor {
 public:
  TimerQueue();
  // Stops.
  ~TimerQueue() override;
  TimerQueue(const TimerQueue&) = delete;
  TimerQueue& operator=(const TimerQueue&) = delete;

  absl::Time Now() const override;
  void After(absl::Duration delay, std::function<void()> task) override;
  void Stop() override;

 private:
  using SteadyTime = std::chrono::steady_clock::time_point;
  void Run();

  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  bool stopping_ = false;
  std::multimap<SteadyTime, std::function<void()>> tasks_;
  std::thread thread_;
};

// Makes TimerQueues.
std::unique_ptr<Executor> NewThreadExecutor(const char* name);

}  // namespace shoal
