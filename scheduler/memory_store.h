// The scheduler's store in memory, for the simulation and tests. Durable data lives in a map owned by the
// caller, which outlives the scheduler.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "scheduler/store.h"

namespace shoal::scheduler {

// Values by table and key.
using StoredTables = std::map<std::pair<std::string, std::string>, std::string>;

class MemoryStore : public Store {
 public:
  // `tables` must outlive it.
  explicit MemoryStore(StoredTables* tables) : tables_(tables) {}

  absl::StatusOr<std::vector<StoredRecord>> ReadAll() override;
  absl::StatusOr<std::vector<JobEvent>> ReadEvents(JobId job, uint64_t after, int limit) override;
  absl::Status Apply(const std::vector<Action>& actions) override;

  // From now on Apply fails with `status` and writes nothing; OK makes it work again.
  void FailWith(absl::Status status) { failure_ = std::move(status); }

 private:
  StoredTables* const tables_;
  absl::Status failure_;
};

}  // namespace shoal::scheduler
