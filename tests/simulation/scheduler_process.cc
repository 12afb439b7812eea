#include "tests/simulation/scheduler_process.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace shoal::simulation {
namespace {

// The scheduler's store, whose writes are actions of the scheduler's process.
class ProcessStore : public scheduler::Store {
 public:
  ProcessStore(Process* process, scheduler::StoredTables* tables) : process_(process), store_(tables) {}

  absl::StatusOr<std::vector<scheduler::StoredRecord>> ReadAll() override { return store_.ReadAll(); }
  absl::StatusOr<std::vector<JobEvent>> ReadEvents(JobId job, uint64_t after, int limit) override {
    return store_.ReadEvents(job, after, limit);
  }
  absl::Status Apply(const std::vector<scheduler::Action>& actions) override {
    // As SQLite does: a transaction takes a write and a sync.
    absl::Status status = process_->Before("Append", "state/scheduler.sqlite");
    // SchedulerNode::WaitFailed ends the daemon.
    if (!status.ok()) process_->Die();
    if (!status.ok()) return status;
    status = store_.Apply(actions);
    process_->Act();
    return status;
  }

 private:
  Process* const process_;
  scheduler::MemoryStore store_;
};

scheduler::SchedulerOptions CoreOptions(bool last_resort) {
  scheduler::SchedulerOptions options;
  options.heartbeat = absl::Milliseconds(150);
  options.lease = absl::Milliseconds(1000);
  options.session_grace = absl::Milliseconds(250);
  options.settle = absl::Milliseconds(50);
  // Longer than any freeze in a schedule, so that the last resort really is the last one here too.
  const absl::Duration stall = last_resort ? absl::Seconds(5) : absl::Hours(1);
  options.watch.stall = {stall, stall};
  options.storage_patience = absl::Seconds(20);
  options.checkpoint_root = "storage";
  return options;
}

}  // namespace

absl::Status SchedulerProcess::Start(scheduler::StoredTables* tables, bool last_resort) {
  scheduler::SchedulerNode::Options options;
  options.core = CoreOptions(last_resort);
  options.core.new_cluster_id = absl::StrCat("cluster-", number());
  options.store = std::make_unique<ProcessStore>(this, tables);
  options.artifact_dir = "state/artifacts";
  options.env = env();
  options.executors = executors();
  SHOAL_ASSIGN_OR_RETURN(node_, scheduler::SchedulerNode::Start(std::move(options)));
  return absl::OkStatus();
}

}  // namespace shoal::simulation
