// One job on one worker: carries out what WorkerCore decides, with the two copies of θ, the held
// contributions and the runner thread.
#pragma once

#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/blocks.h"
#include "common/slot_tree.h"
#include "worker/parameter_link.h"
#include "worker/program.h"
#include "worker/unit_reducer.h"
#include "worker/worker_core.h"

namespace shoal::worker {

class JobWorker : public ParameterLinkEvents {
 public:
  struct Options {
    JobId job;
    NodeId self;
    uint32_t slots = 1;
    WireFormat wire = WIRE_FORMAT_F32;
    std::vector<uint64_t> group_sizes;  // elements
    // Sends a report to the scheduler; never blocks.
    std::function<void(NodeReport)> report;
  };
  using LinkFactory = std::function<std::unique_ptr<ParameterLink>(ParameterLinkEvents*)>;

  // Starts the runner thread. `program` is used by that thread alone.
  JobWorker(Options options, std::unique_ptr<Program> program, const LinkFactory& make_link);
  // Cancels what runs and waits for it: at most one slot's time.
  ~JobWorker() override;

  void OnView(const View& view) ABSL_LOCKS_EXCLUDED(mutex_);
  void OnTarget(const Target& target) ABSL_LOCKS_EXCLUDED(mutex_);
  void OnSessionOpened() ABSL_LOCKS_EXCLUDED(mutex_);

  void OnVersions(ViewId view, uint32_t shard, Version lowest) override ABSL_LOCKS_EXCLUDED(mutex_);
  bool OnBlock(const PublishedHeader& header, const std::function<void(float*)>& store) override
      ABSL_LOCKS_EXCLUDED(mutex_);
  void OnOutOfRange(ViewId view) override ABSL_LOCKS_EXCLUDED(mutex_);
  Version PullFrom() override ABSL_LOCKS_EXCLUDED(mutex_);
  void OnPushReopened(ViewId view, uint32_t shard) override ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  // A group of a node of the slot tree, final: held until all servers have used it.
  struct Held {
    Round round;
    SlotRange node;
    int group = 0;
    GradientBuffer gradient;
    ContributionStats stats;
  };

  void Run();
  void Train(const Work& work);
  // False: the unit was given up.
  bool TrainUnit(const Work& work, SlotRange unit);
  absl::Status TrainSlot(const Work& work, Slot slot, UnitReducer* reducer);
  void Evaluate(const Work& work);
  bool WaitGroup(const Work& work, int group) ABSL_LOCKS_EXCLUDED(mutex_);
  bool Wanted(const Work& work) const ABSL_LOCKS_EXCLUDED(mutex_);
  void OnFinal(const Work& work, SlotRange node, int group, const GradientBuffer& gradient,
               const ContributionStats& stats) ABSL_LOCKS_EXCLUDED(mutex_);
  void Fail(const absl::Status& status);

  void CarryOut() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Pushes the blocks of `held` that live on `shard`, or on any.
  void PushHeld(const Held& held, int shard) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool GroupHere(Version version, int group) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool HasWork() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  float* theta(Version version) { return theta_[version.value() % 2].get(); }

  const Options options_;
  const SlotTree tree_;
  const std::vector<BlockSpec> blocks_;
  std::vector<GroupRange> groups_;
  std::vector<std::vector<uint32_t>> group_blocks_;  // by group
  const std::unique_ptr<Program> program_;
  const std::shared_ptr<ArrayPool> pool_;
  FloatArray theta_[2];  // by parity of the version

  mutable absl::Mutex mutex_;
  absl::CondVar changed_;
  WorkerCore core_ ABSL_GUARDED_BY(mutex_);
  View view_ ABSL_GUARDED_BY(mutex_);
  std::vector<Held> held_ ABSL_GUARDED_BY(mutex_);
  bool open_ ABSL_GUARDED_BY(mutex_) = false;  // the push streams of the current view take contributions
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  Work next_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<ParameterLink> link_;
  std::thread runner_;
};

}  // namespace shoal::worker
