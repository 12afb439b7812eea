#include "server/job_owner.h"

#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace shoal::server {

// Jobs that nobody refers to. Outlives the owner, for jobs that do.
class JobOwner::Retired {
 public:
  explicit Retired(Executor* executor) : executor_(executor) {}

  void Add(std::unique_ptr<ServerJob> job) {
    absl::MutexLock lock(&mutex_);
    if (executor_ == nullptr) return;  // destroyed here, without the lock
    jobs_.push_back(std::move(job));
    executor_->Post([this] { DestroyAll(); });
  }

  void DestroyAll() {
    std::vector<std::unique_ptr<ServerJob>> jobs;  // destroyed without the lock
    absl::MutexLock lock(&mutex_);
    jobs.swap(jobs_);
  }

  void Detach() {
    absl::MutexLock lock(&mutex_);
    executor_ = nullptr;
  }

 private:
  absl::Mutex mutex_;
  Executor* executor_ ABSL_GUARDED_BY(mutex_);  // null: the owner is gone
  std::vector<std::unique_ptr<ServerJob>> jobs_ ABSL_GUARDED_BY(mutex_);
};

JobOwner::JobOwner(std::unique_ptr<Executor> executor)
    : executor_(std::move(executor)), retired_(std::make_shared<Retired>(executor_.get())) {}

JobOwner::~JobOwner() {
  retired_->Detach();
  executor_->Stop();
  retired_->DestroyAll();
}

std::shared_ptr<ServerJob> JobOwner::Own(std::unique_ptr<ServerJob> job) {
  return std::shared_ptr<ServerJob>(job.release(), [retired = retired_](ServerJob* last) {
    retired->Add(std::unique_ptr<ServerJob>(last));
  });
}

}  // namespace shoal::server
