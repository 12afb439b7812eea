#include "server/worker_streams.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace shoal::server {

absl::Status WorkerStreams::Attach(std::shared_ptr<WorkerStream> stream) {
  absl::MutexLock lock(&mutex_);
  if (streams_.size() >= kMaxStreams) {
    return absl::ResourceExhaustedError(
        absl::StrCat(kMaxStreams, " streams are open already: try again when one has ended"));
  }
  streams_.push_back(std::move(stream));
  return absl::OkStatus();
}

void WorkerStreams::Detach(const std::shared_ptr<WorkerStream>& stream) {
  absl::MutexLock lock(&mutex_);
  streams_.erase(std::remove(streams_.begin(), streams_.end(), stream), streams_.end());
}

void WorkerStreams::Wake(ViewId view, BlockId block) const {
  std::vector<std::shared_ptr<WorkerStream>> woken;
  {
    absl::MutexLock lock(&mutex_);
    for (const auto& stream : streams_) {
      if (stream->view().view == view) woken.push_back(stream);
    }
  }
  for (const auto& stream : woken) stream->Wake(block);
}

void WorkerStreams::End(ViewId except, const absl::Status& status) {
  std::vector<std::shared_ptr<WorkerStream>> ended;
  {
    absl::MutexLock lock(&mutex_);
    for (auto it = streams_.begin(); it != streams_.end();) {
      if ((*it)->view().view == except) {
        ++it;
        continue;
      }
      ended.push_back(*it);
      it = streams_.erase(it);
    }
  }
  for (const auto& stream : ended) stream->End(status);
}

size_t WorkerStreams::size() const {
  absl::MutexLock lock(&mutex_);
  return streams_.size();
}

}  // namespace shoal::server
