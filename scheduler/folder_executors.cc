#include "scheduler/folder_executors.h"

#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

namespace shoal::scheduler {

void FolderExecutors::Post(const std::string& folder, std::function<void()> task) {
  absl::MutexLock lock(&mutex_);
  Add(folder, /*optional=*/false, std::move(task));
}

bool FolderExecutors::PostIfRoom(const std::string& folder, std::function<void()> task) {
  absl::MutexLock lock(&mutex_);
  const auto found = folders_.find(folder);
  if (found != folders_.end() && found->second.optional >= kMaxOptional) return false;
  Add(folder, /*optional=*/true, std::move(task));
  return true;
}

void FolderExecutors::Add(const std::string& folder, bool optional, std::function<void()> task) {
  if (stopped_) return;
  Folder& one = folders_[folder];
  if (one.executor == nullptr) one.executor = factory_("files");
  ++one.tasks;
  one.optional += optional;
  one.executor->Post([this, folder, optional, task = std::move(task)] {
    task();
    absl::MutexLock lock(&mutex_);
    const auto found = folders_.find(folder);
    if (found == folders_.end()) return;
    --found->second.tasks;
    found->second.optional -= optional;
  });
}

void FolderExecutors::Sweep() {
  std::vector<std::unique_ptr<Executor>> idle;  // destroyed without the lock
  absl::MutexLock lock(&mutex_);
  for (auto at = folders_.begin(); at != folders_.end();) {
    if (at->second.tasks == 0) idle.push_back(std::move(at->second.executor));
    at = at->second.tasks == 0 ? folders_.erase(at) : std::next(at);
  }
}

void FolderExecutors::Stop() {
  std::map<std::string, Folder> folders;  // destroyed without the lock
  {
    absl::MutexLock lock(&mutex_);
    stopped_ = true;
    folders.swap(folders_);
  }
  for (auto& [name, folder] : folders) folder.executor->Stop();
}

size_t FolderExecutors::size() const {
  absl::MutexLock lock(&mutex_);
  return folders_.size();
}

size_t FolderExecutors::most_optional() const {
  absl::MutexLock lock(&mutex_);
  size_t most = 0;
  for (const auto& [name, folder] : folders_) most = std::max(most, folder.optional);
  return most;
}

}  // namespace shoal::scheduler
