#include "common/rpc/channel_pool.h"

namespace shoal {

std::shared_ptr<grpc::Channel> ChannelPool::Get(const std::string& address, int connection) {
  absl::MutexLock lock(&mutex_);
  const std::pair<std::string, int> key(address, connection);
  const auto found = channels_.find(key);
  if (found != channels_.end()) return found->second;
  if (channels_.size() >= kMaxChannels) channels_.erase(channels_.begin());
  ChannelOptions options;
  options.connection_index = connection;
  return channels_[key] = NewChannel(address, options);
}

size_t ChannelPool::size() const {
  absl::MutexLock lock(&mutex_);
  return channels_.size();
}

}  // namespace shoal
