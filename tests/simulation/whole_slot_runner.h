// Runs a job's slots on a simulated worker with worker::JobWorker, which ships, each slot as one event.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "tests/simulation/made_up_program.h"
#include "tests/simulation/oracle.h"
#include "tests/simulation/process.h"
#include "worker/job_runner.h"
#include "worker/job_worker.h"
#include "worker/parameter_link.h"

namespace shoal::simulation {

// Shows the oracle which blocks the worker accepts and which views it refuses, and lets time pass before each
// slot.
class WholeSlotRunner : public worker::JobRunner, public worker::ParameterLinkEvents {
 public:
  using LinkFactory = worker::JobWorker::LinkFactory;
  // `oracle` may be null: nothing is compared.
  WholeSlotRunner(Process* process, Oracle* oracle, worker::WorkerRounds::Options options,
                  std::unique_ptr<MadeUpProgram> program, const LinkFactory& make_link);

  void OnView(const View& view) override;
  void OnTarget(const Target& target) override { worker_->OnTarget(target); }
  void OnSessionOpened() override { worker_->OnSessionOpened(); }
  std::string Cancel() override { return worker_->Cancel(); }
  void AddTo(Heartbeat* heartbeat) const override { worker_->AddTo(heartbeat); }

  void OnVersions(ViewId view, uint32_t shard, Version lowest) override {
    events_->OnVersions(view, shard, lowest);
  }
  bool OnBlock(const PublishedHeader& header, const worker::BlockStore& store) override;
  void OnOutOfRange(ViewId view) override { events_->OnOutOfRange(view); }
  Version PullFrom() override { return events_->PullFrom(); }
  void OnPushReopened(ViewId view, uint32_t shard) override { events_->OnPushReopened(view, shard); }

 private:
  void OnReport(const NodeReport& report);

  Process* const process_;
  Oracle* const oracle_;
  bool installs_ = false;                          // inside OnView
  worker::ParameterLinkEvents* events_ = nullptr;  // of worker_
  std::unique_ptr<worker::JobWorker> worker_;
};

}  // namespace shoal::simulation
