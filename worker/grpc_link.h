// ParameterLink over gRPC: a Pull and a Push stream to each shard of the current view.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/array_pool.h"
#include "common/backoff.h"
#include "common/timer_queue.h"
#include "grpcpp/grpcpp.h"
#include "proto/parameter.grpc.pb.h"
#include "worker/parameter_link.h"
#include "worker/simulated_link.h"

namespace shoal::worker {

class PullStream;
class PushStream;

// Streams run on gRPC's threads; events that are no block, and blocks that had to wait, come from one thread
// of the link. The destructor cancels everything and returns when no event can come any more.
class GrpcLink : public ParameterLink {
 public:
  struct Options {
    JobId job;
    WireFormat wire = WIRE_FORMAT_F32;
    std::vector<uint64_t> block_elements;
    uint64_t backoff_seed = 0;
    // For benchmarks: blocks travel no faster than this, each way, over all shards together. 0: no limit.
    double link_bits_per_second = 0;
  };
  // `events` must outlive the link.
  GrpcLink(Options options, ParameterLinkEvents* events);
  ~GrpcLink() override;

  void SetView(const View& view) override ABSL_LOCKS_EXCLUDED(mutex_);
  void AskVersions() override ABSL_LOCKS_EXCLUDED(mutex_);
  void Open(Version from) override ABSL_LOCKS_EXCLUDED(mutex_);
  void Push(BlockContribution contribution) override ABSL_LOCKS_EXCLUDED(mutex_);
  void Resume() override ABSL_LOCKS_EXCLUDED(mutex_);
  void Disconnect() override ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  friend class PullStream;
  friend class PushStream;
  // Pushes and pulls have a connection each: one alone does not fill a fast network, since each end works on
  // a connection's bytes with one thread at a time.
  struct Channels {
    std::shared_ptr<grpc::Channel> push, pull;
  };
  struct Shard {
    std::string address;
    Channels channels;
    std::shared_ptr<PullStream> pull;
    std::shared_ptr<PushStream> push;
    Backoff backoff{0};
  };
  struct VersionsCall;

  // All of these: `generation` tells streams of the current view and opening from older ones.
  void OnPullDone(uint64_t generation, uint32_t shard, const grpc::Status& status)
      ABSL_LOCKS_EXCLUDED(mutex_);
  void OnPushDone(uint64_t generation, uint32_t shard, const grpc::Status& status)
      ABSL_LOCKS_EXCLUDED(mutex_);
  void OnVersionsDone(VersionsCall* call, const grpc::Status& status) ABSL_LOCKS_EXCLUDED(mutex_);
  // The shard's pull stream delivers.
  void OnDelivery(uint64_t generation, uint32_t shard) ABSL_LOCKS_EXCLUDED(mutex_);
  void StreamEnded() ABSL_LOCKS_EXCLUDED(mutex_);
  void ResumeStreams() ABSL_LOCKS_EXCLUDED(mutex_);

  static Channels NewChannels(const std::string& address);
  void OpenPull(uint32_t shard, Version from) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void OpenPush(uint32_t shard) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void AskShard(uint32_t shard) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void CancelStreams() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ReportStreamError(const char* what, uint32_t shard, const grpc::Status& status)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Options options_;
  ParameterLinkEvents* const events_;

  absl::Mutex mutex_;
  ViewId view_ ABSL_GUARDED_BY(mutex_);
  uint64_t generation_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<Shard> shards_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<std::string, Channels> channels_ ABSL_GUARDED_BY(mutex_);  // by address
  std::set<VersionsCall*> calls_ ABSL_GUARDED_BY(mutex_);
  int running_ ABSL_GUARDED_BY(mutex_) = 0;  // streams and calls that gRPC still knows
  bool resuming_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  SimulatedLink simulated_;
  const std::shared_ptr<ArrayPool> pool_ = ArrayPool::Create();  // of encoded contributions
  TimerQueue timers_;
};

}  // namespace shoal::worker
