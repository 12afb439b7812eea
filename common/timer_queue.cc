#include "common/timer_queue.h"

#include <utility>

#include "absl/time/clock.h"

namespace shoal {

TimerQueue::TimerQueue() : thread_([this] { Run(); }) {}

TimerQueue::~TimerQueue() { Stop(); }

void TimerQueue::After(absl::Duration delay, std::function<void()> task) {
  absl::MutexLock lock(&mutex_);
  if (!stopping_) tasks_.emplace(absl::Now() + delay, std::move(task));
}

void TimerQueue::Stop() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  if (thread_.joinable()) thread_.join();
  absl::MutexLock lock(&mutex_);
  tasks_.clear();
}

void TimerQueue::Run() {
  const auto due = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return stopping_ || (!tasks_.empty() && tasks_.begin()->first <= absl::Now());
  };
  absl::MutexLock lock(&mutex_);
  while (!stopping_) {
    const absl::Time next = tasks_.empty() ? absl::InfiniteFuture() : tasks_.begin()->first;
    const auto earlier = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      return due() || (!tasks_.empty() && tasks_.begin()->first < next);
    };
    if (!due()) mutex_.AwaitWithDeadline(absl::Condition(&earlier), next);
    if (stopping_ || !due()) continue;
    std::function<void()> task = std::move(tasks_.begin()->second);
    tasks_.erase(tasks_.begin());
    mutex_.Unlock();
    task();
    task = nullptr;
    mutex_.Lock();
  }
}

}  // namespace shoal
