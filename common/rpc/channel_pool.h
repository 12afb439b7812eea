// Channels to the nodes that this one calls, each made once.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/rpc/rpc.h"

namespace shoal {

// Thread-safe. Must be destroyed on one of our own threads: gRPC 1.51 ends its callback threads with the last
// channel of a process, and corrupts memory when the channel is destroyed on one of them. So a call must
// release its channel before it reports that it has ended.
class ChannelPool {
 public:
  // More than the nodes of one job need; nodes that come back under other addresses would accumulate. Beyond
  // the limit each new channel evicts another, which ends with the last call that uses it.
  static constexpr size_t kMaxChannels = 512;

  // The channel to `address`. Another `connection` has a TCP connection of its own (ChannelOptions).
  std::shared_ptr<grpc::Channel> Get(const std::string& address, int connection = 0)
      ABSL_LOCKS_EXCLUDED(mutex_);
  size_t size() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  mutable absl::Mutex mutex_;
  std::map<std::pair<std::string, int>, std::shared_ptr<grpc::Channel>> channels_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace shoal
