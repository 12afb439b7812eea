// A worker of a simulated cluster: the real worker::WorkerCore and UnitReducer, with made-up gradients that
// take simulated time.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/blocks.h"
#include "common/slot_tree.h"
#include "tests/simulation/simulated_node.h"
#include "tests/simulation/simulated_server.h"
#include "worker/job_choice.h"
#include "worker/unit_reducer.h"
#include "worker/worker_core.h"

namespace shoal::simulation {

class SimulatedWorker : public SimulatedNode {
 public:
  SimulatedWorker(SimulatedCluster* cluster, std::string name);

  void OnSessionOpened() override;
  void OnDirective(const Directive& directive) override;
  void DropAll() override;

 private:
  struct Held {
    Round round;
    SlotRange node;
    int group = 0;
    worker::GradientBuffer gradient;
    ContributionStats stats;
  };
  struct Delivery {
    ContributionHeader header;
    Payload payload;
  };

  void DropJob();
  // Takes some time, as reading data does.
  void Prepare(const PrepareJob& request);
  void MakeJob(const PrepareJob& request);
  void ReportPrepared();
  // Carries out what the core wants, then starts the next work.
  void Pump();
  void CarryOut();

  // ---- data plane ----
  void AskShard(uint32_t shard);
  void OpenPull(uint32_t shard, Version from);
  void OfferWaiting();
  // False: the block has to wait.
  bool Offer(ViewId view, const server::PublishedVersion& published, BlockId block);
  void PushHeld(const Held& held, int shard);
  void Push(uint32_t shard, Delivery delivery);
  void Deliver(uint32_t shard, Delivery delivery);
  void PushBroken(uint32_t shard);

  // ---- runner: each step is an event ----
  void StepTraining();
  void BeginSlot();
  void RunSlot(Slot slot);
  void GiveUpUnit();
  void FinishUnit();
  void StepEvaluation();
  void EndWork();

  worker::JobChoice choice_;
  uint64_t job_ = 0;
  uint64_t life_ = 0;  // of core_, so that late events don't reach its successor
  std::unique_ptr<worker::WorkerCore> core_;
  SlotTree tree_{1};
  std::vector<BlockSpec> blocks_;
  std::vector<worker::GroupRange> groups_;
  std::shared_ptr<ArrayPool> pool_;
  std::vector<float> theta_[2];
  View view_;
  uint64_t opening_ =
      0;  // counts worker::AskVersions, worker::OpenStreams and worker::Disconnect: older streams are void
  bool open_ = false;
  std::set<uint32_t> broken_pushes_;  // shards whose push stream broke and does not stand yet
  std::vector<std::shared_ptr<SimulatedPull>> pulls_;
  struct Waiting {
    ViewId view;
    server::PublishedVersion published;
    BlockId block;
    uint64_t opening = 0;
  };
  std::vector<Waiting> waiting_;
  std::vector<Held> held_;

  bool busy_ = false;
  bool pumping_ = false;
  worker::Work work_;
  size_t unit_ = 0;    // of work_.units
  uint32_t slot_ = 0;  // next of the unit; or index into work_.slots
  std::unique_ptr<worker::UnitReducer> reducer_;
};

}  // namespace shoal::simulation
