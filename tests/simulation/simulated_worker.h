// A worker of a simulated cluster: the real worker::WorkerRounds, with made-up gradients that take simulated
// time, over simulated streams.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/blocks.h"
#include "tests/simulation/simulated_node.h"
#include "tests/simulation/simulated_server.h"
#include "worker/job_choice.h"
#include "worker/worker_rounds.h"

namespace shoal::simulation {

class SimulatedWorker : public SimulatedNode, private worker::ParameterLink {
 public:
  SimulatedWorker(SimulatedCluster* cluster, std::string name);

  void OnSessionOpened() override;
  void OnDirective(const Directive& directive) override;
  void DropAll() override;

 private:
  struct Delivery {
    ContributionHeader header;
    Payload payload;
  };
  struct Waiting {
    PublishedHeader header;
    server::PublishedVersion published;
    uint64_t opening = 0;
  };

  void DropJob();
  // Takes some time, as reading data does.
  void Prepare(const PrepareJob& request);
  void MakeJob(const PrepareJob& request);
  void ReportPrepared();
  // After each change of rounds_: starts the next slot.
  void Pump();

  // ---- ParameterLink: nothing calls back before the next event ----
  void SetView(const View& view) override;
  void AskVersions() override;
  void Open(Version from) override;
  void Push(worker::BlockContribution contribution) override;
  void Resume() override;
  void Disconnect() override;

  // ---- streams ----
  void AskShard(uint32_t shard);
  void OpenPull(uint32_t shard, Version from);
  // False: the block has to wait.
  bool Offer(const PublishedHeader& header, const server::PublishedVersion& published);
  void OfferWaiting();
  void Send(uint32_t shard, Delivery delivery);
  void Deliver(uint32_t shard, Delivery delivery);
  void PushBroken(uint32_t shard);

  // ---- runner: each step is an event ----
  void BeginSlot();
  void EndTraining(const worker::SlotRun& run, float* gradient);
  void EndEvaluation(const worker::SlotRun& run);
  // `event` after `delay`, unless the job was dropped by then.
  void InJob(absl::Duration delay, std::function<void()> event);

  worker::JobChoice choice_;
  uint64_t life_ = 0;  // of rounds_, so that late events don't reach its successor
  std::unique_ptr<worker::WorkerRounds> rounds_;
  bool busy_ = false;  // a slot is about to run, or runs
  View view_;
  uint64_t opening_ = 0;  // counts SetView, AskVersions, Open and Disconnect: older streams are void
  std::set<uint32_t> broken_pushes_;  // shards whose push stream broke and does not stand yet
  std::vector<std::shared_ptr<SimulatedPull>> pulls_;
  std::vector<Waiting> waiting_;
  std::vector<BlockSpec> blocks_;
};

}  // namespace shoal::simulation
