#include "server/job_owner.h"

#include <algorithm>
#include <list>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace shoal::server {

// Jobs that are no longer referenced. Outlives the owner, for jobs that still are.
class JobOwner::Retired {
 public:
  explicit Retired(ExecutorFactory executors) : executors_(std::move(executors)) {}

  void Add(std::unique_ptr<ShardHost> job) {
    std::list<Grave> over;  // destroyed without the lock
    absl::MutexLock lock(&mutex_);
    if (closed_) return;  // destroyed here, without the lock
    for (auto at = graves_.begin(); at != graves_.end();) {
      const auto next = std::next(at);
      if (at->over) over.splice(over.end(), graves_, at);
      at = next;
    }
    Grave& grave = graves_.emplace_back();
    grave.job = std::move(job);
    grave.executor = executors_("jobs");
    grave.executor->Post([this, &grave] { Bury(&grave); });
  }

  size_t waiting() const {
    absl::MutexLock lock(&mutex_);
    return std::count_if(graves_.begin(), graves_.end(), [](const Grave& grave) { return !grave.over; });
  }

  void Close() {
    std::list<Grave> all;  // destroyed without the lock
    {
      absl::MutexLock lock(&mutex_);
      closed_ = true;
      all.swap(graves_);
    }
    for (Grave& grave : all) grave.executor->Stop();
  }

 private:
  struct Grave {
    std::unique_ptr<ShardHost> job;
    bool over = false;
    std::unique_ptr<Executor> executor;
  };

  void Bury(Grave* grave) {
    grave->job.reset();
    absl::MutexLock lock(&mutex_);
    grave->over = true;
  }

  const ExecutorFactory executors_;
  mutable absl::Mutex mutex_;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;      // the owner is gone
  std::list<Grave> graves_ ABSL_GUARDED_BY(mutex_);  // each has its own job and executor
};

JobOwner::JobOwner(ExecutorFactory executors) : retired_(std::make_shared<Retired>(std::move(executors))) {}

size_t JobOwner::former() const { return retired_->waiting(); }

JobOwner::~JobOwner() { retired_->Close(); }

std::shared_ptr<ShardHost> JobOwner::Own(std::unique_ptr<ShardHost> job) {
  return std::shared_ptr<ShardHost>(job.release(), [retired = retired_](ShardHost* last) {
    retired->Add(std::unique_ptr<ShardHost>(last));
  });
}

}  // namespace shoal::server
