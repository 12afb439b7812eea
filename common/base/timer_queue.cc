#include "common/base/timer_queue.h"

#include <algorithm>
#include <cstdlib>
#include <new>
#include <utility>

#include "common/base/clock.h"
#include "common/base/log.h"

namespace shoal {
namespace {

// Longer than any process lives, but short enough that no time point overflows.
constexpr absl::Duration kMaxDelay = absl::Hours(24 * 365 * 10);

// Tasks that can do without the memory catch the error themselves. The others may have left work half
// done, so the process exits; what it has acknowledged is durable, and other nodes take over.
void RunTask(const std::function<void()>& task) {
  try {
    task();
  } catch (const std::bad_alloc&) {
    // A text that needs no memory.
    WriteLog(LogLevel::kCritical,
             "Out of memory: exiting. Give the process more memory, or the job fewer slots");
    std::_Exit(1);
  }
}

}  // namespace

TimerQueue::TimerQueue() : thread_([this] { Run(); }) {}

TimerQueue::~TimerQueue() { Stop(); }

absl::Time TimerQueue::Now() const { return MonotonicNow(); }

void TimerQueue::After(absl::Duration delay, std::function<void()> task) {
  const auto wait = absl::ToChronoNanoseconds(std::min(delay, kMaxDelay));
  const std::lock_guard<std::mutex> lock(mutex_);
  if (stopping_) return;
  tasks_.emplace(std::chrono::steady_clock::now() + wait, std::move(task));
  changed_.notify_one();
}

void TimerQueue::Stop() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
    changed_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
  std::multimap<SteadyTime, std::function<void()>> dropped;  // destroyed without holding the lock
  const std::lock_guard<std::mutex> lock(mutex_);
  dropped.swap(tasks_);
}

void TimerQueue::Run() {
  std::unique_lock<std::mutex> lock(mutex_);
  while (!stopping_) {
    if (tasks_.empty()) {
      changed_.wait(lock);
    } else if (tasks_.begin()->first > std::chrono::steady_clock::now()) {
      changed_.wait_until(lock, tasks_.begin()->first);
    } else {
      std::function<void()> task = std::move(tasks_.begin()->second);
      tasks_.erase(tasks_.begin());
      lock.unlock();
      RunTask(task);
      task = nullptr;  // what it holds is destroyed without holding the lock
      lock.lock();
    }
  }
}

std::unique_ptr<Executor> NewThreadExecutor(const char*) { return std::make_unique<TimerQueue>(); }

}  // namespace shoal
