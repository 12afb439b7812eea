// Executors whose time advances when a test says so.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <utility>

#include "absl/time/time.h"
#include "common/base/executor.h"

namespace shoal {

// One clock for all executors that it makes. Tasks run in RunFor, on the calling thread. Not thread-safe;
// must outlive its executors.
class FakeTime {
 public:
  absl::Time now() const { return now_; }
  // How many tasks wait, at all executors.
  size_t tasks() const { return tasks_.size(); }

  ExecutorFactory factory() {
    return [this](const char*) { return std::make_unique<FakeExecutor>(this); };
  }

  // Runs what is due within `duration`, including tasks added meanwhile.
  void RunFor(absl::Duration duration) {
    const absl::Time end = now_ + duration;
    while (!tasks_.empty() && tasks_.begin()->first <= end) {
      now_ = std::max(now_, tasks_.begin()->first);
      const Task task = std::move(tasks_.begin()->second);
      tasks_.erase(tasks_.begin());
      if (*task.alive) task.run();
    }
    now_ = end;
  }
  // Runs what is due now.
  void Run() { RunFor(absl::ZeroDuration()); }

 private:
  struct Task {
    std::shared_ptr<bool> alive;
    std::function<void()> run;
  };
  class FakeExecutor : public Executor {
   public:
    explicit FakeExecutor(FakeTime* time) : time_(time) {}
    ~FakeExecutor() override { Stop(); }
    absl::Time Now() const override { return time_->now_; }
    void After(absl::Duration delay, std::function<void()> task) override {
      time_->tasks_.emplace(time_->now_ + std::max(delay, absl::ZeroDuration()),
                            Task{alive_, std::move(task)});
    }
    void Stop() override { *alive_ = false; }

   private:
    FakeTime* const time_;
    const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  };

  absl::Time now_ = absl::FromUnixSeconds(1'000'000);
  std::multimap<absl::Time, Task> tasks_;
};

}  // namespace shoal
