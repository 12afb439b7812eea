#include "tests/simulation/whole_slot_runner.h"

#include <utility>

namespace shoal::simulation {
namespace {

// An executor whose tasks take time before they do anything.
class SlowExecutor : public Executor {
 public:
  SlowExecutor(EventQueue* queue, std::unique_ptr<Executor> executor)
      : queue_(queue), executor_(std::move(executor)) {}

  absl::Time Now() const override { return executor_->Now(); }
  void After(absl::Duration delay, std::function<void()> task) override {
    executor_->After(delay + queue_->Between(absl::Microseconds(500), absl::Milliseconds(8)),
                     std::move(task));
  }
  void Stop() override { executor_->Stop(); }

 private:
  EventQueue* const queue_;
  const std::unique_ptr<Executor> executor_;
};

worker::JobWorker::Options OptionsFor(Process* process, worker::WorkerRounds::Options rounds) {
  worker::JobWorker::Options options;
  options.rounds = std::move(rounds);
  options.executors = [process](const char* name) {
    return std::make_unique<SlowExecutor>(&process->queue(), process->executors()(name));
  };
  options.start_when_whole = true;
  return options;
}

}  // namespace

WholeSlotRunner::WholeSlotRunner(Process* process, Oracle* oracle, worker::WorkerRounds::Options options,
                                 std::unique_ptr<MadeUpProgram> program, const LinkFactory& make_link)
    : process_(process), oracle_(oracle) {
  program->RunIn(process, oracle);
  options.report = [this, report = std::move(options.report)](NodeReport news) {
    OnReport(news);
    report(std::move(news));
  };
  worker_ = std::make_unique<worker::JobWorker>(OptionsFor(process, std::move(options)), std::move(program),
                                                [&](worker::ParameterLinkEvents* events) {
                                                  events_ = events;
                                                  return make_link(this);
                                                });
}

void WholeSlotRunner::OnView(const View& view) {
  installs_ = true;
  worker_->OnView(view);
  installs_ = false;
}

void WholeSlotRunner::OnReport(const NodeReport& report) {
  if (installs_ && oracle_ != nullptr && report.has_job_refused())
    oracle_->Fail(report.job_refused().reason());
}

bool WholeSlotRunner::OnBlock(const PublishedHeader& header, const worker::BlockStore& store) {
  return events_->OnBlock(header, [&](const worker::BlockMemory& memory) {
    store(memory);
    if (oracle_ != nullptr && process_->alive()) oracle_->OnTaken(worker_->key(), header, memory.theta);
  });
}

}  // namespace shoal::simulation
