// One job on one server: JobShard with the network, the disk and the clock around it.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/file.h"
#include "common/timer_queue.h"
#include "grpcpp/grpcpp.h"
#include "kernels/thread_pool.h"
#include "proto/parameter.grpc.pb.h"
#include "server/job_shard.h"
#include "server/restore_source.h"

namespace shoal::server {

// A worker's Pull, as the job sees it. Called with no lock of the job held.
class PullStream {
 public:
  virtual ~PullStream() = default;
  virtual ViewId view() const = 0;
  virtual void Offer(BlockId block, const PublishedVersion& published) = 0;
  virtual void End(const absl::Status& status) = 0;
};

// Thread-safe.
class ServerJob : public JobShardHost {
 public:
  struct Options {
    NodeId self;
    int threads = 1;  // for updates
    std::string checkpoint_dir;
    Env* env = nullptr;
    // Sends a report to the scheduler; never blocks.
    std::function<void(NodeReport)> report;
    RestoreSource::FetchArtifact fetch;
  };
  ServerJob(Options options, std::shared_ptr<const ShardJob> job);
  // Waits for what runs.
  ~ServerJob() override;
  // The job is over here: ends the streams, which hold it.
  void Close() ABSL_LOCKS_EXCLUDED(mutex_);

  JobId id() const { return job_->job; }
  const ShardJob& job() const { return *job_; }
  JobShard& shard() { return *shard_; }

  // Takes on the view and reports it, or why not. One thread at a time.
  void Install(const View& view) ABSL_LOCKS_EXCLUDED(mutex_);
  // The scheduler may have forgotten what was reported: reports it again.
  void OnSessionOpened() ABSL_LOCKS_EXCLUDED(mutex_);

  // Adds a subscriber and offers it what is there from `from` on. Errors: as JobShard::Published; not added
  // then.
  absl::Status Subscribe(std::shared_ptr<PullStream> stream, Version from) ABSL_LOCKS_EXCLUDED(mutex_);
  void Unsubscribe(const std::shared_ptr<PullStream>& stream) ABSL_LOCKS_EXCLUDED(mutex_);

  // ---- JobShardHost ----
  void OnPublished(ViewId view, BlockId block, const PublishedVersion& published) override;
  void SendNorms(ViewId view, uint32_t peer, const Norms& norms) override;
  void OnProgress(const ShardProgress& progress) override;
  void OnSnapshot(std::shared_ptr<const ShardSnapshot> snapshot) override;
  void Execute(std::function<void()> work) override;
  void ParallelFor(uint64_t count, const std::function<void(uint64_t)>& fn) override;

 private:
  struct NormsCall;

  void EndStreams(ViewId except, const absl::Status& status) ABSL_LOCKS_EXCLUDED(mutex_);
  void TrySendNorms(ViewId view, uint32_t peer, const Norms& norms) ABSL_LOCKS_EXCLUDED(mutex_);
  void OnNormsAnswer(NormsCall* call, const grpc::Status& status) ABSL_LOCKS_EXCLUDED(mutex_);
  void ReportInstalled(uint64_t view, const std::string& error);
  void ReportWhenDue() ABSL_LOCKS_EXCLUDED(mutex_);
  void ReportProgress() ABSL_LOCKS_EXCLUDED(mutex_);
  void WriteSnapshot(const ShardSnapshot& snapshot) ABSL_LOCKS_EXCLUDED(mutex_);

  const Options options_;
  const std::shared_ptr<const ShardJob> job_;
  RestoreSource source_;
  std::unique_ptr<JobShard> shard_;

  absl::Mutex mutex_;
  View view_ ABSL_GUARDED_BY(mutex_);
  std::set<std::shared_ptr<PullStream>> streams_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::shared_ptr<grpc::Channel>> peers_ ABSL_GUARDED_BY(mutex_);
  std::set<NormsCall*> calls_ ABSL_GUARDED_BY(mutex_);
  bool progressed_ ABSL_GUARDED_BY(mutex_) = false;  // since the last report
  absl::Time reported_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  std::deque<RoundStats> rounds_ ABSL_GUARDED_BY(mutex_);   // the last ones, for new sessions
  uint64_t unreported_ ABSL_GUARDED_BY(mutex_) = 0;         // of them, at the back
  std::deque<NodeReport> written_ ABSL_GUARDED_BY(mutex_);  // of the restore point, for new sessions
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;

  absl::Mutex pool_mutex_;  // one loop at a time
  ThreadPool pool_ ABSL_GUARDED_BY(pool_mutex_);
  // Last, so that they stop first.
  TimerQueue timers_;   // reports, norms
  TimerQueue updates_;  // Execute
  TimerQueue files_;    // checkpoints
};

}  // namespace shoal::server
