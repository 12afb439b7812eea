// A process that runs the scheduler.
#pragma once

#include <memory>

#include "absl/status/status.h"
#include "scheduler/memory_store.h"
#include "scheduler/scheduler_node.h"
#include "tests/simulation/process.h"

namespace shoal::simulation {

class SchedulerProcess : public Process {
 public:
  SchedulerProcess(EventQueue* queue, MemoryDisk* disk, int number)
      : Process(queue, disk, number, "scheduler") {}

  // Starts the scheduler over its stored `tables`, which must outlive it; each write to them is an action of
  // this process. Without `last_resort` it leaves jobs that are stalled as they are.
  absl::Status Start(scheduler::StoredTables* tables, bool last_resort);
  // Destroys what ran here, after the death of the process.
  void Bury() { node_.reset(); }

  // Null: none has started, or it was buried.
  scheduler::SchedulerNode* node() const { return node_.get(); }
  // Null, too, while the process is frozen.
  scheduler::SchedulerNode* Answering() { return Thaw("") <= queue().now() ? node() : nullptr; }

 private:
  std::unique_ptr<scheduler::SchedulerNode> node_;
};

}  // namespace shoal::simulation
