// What survives a restart of the scheduler: tables of keys and values.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/types.h"
#include "proto/scheduler.pb.h"
#include "scheduler/actions.h"

namespace shoal::scheduler {

// Implemented with SQLite (scheduler/sqlite_store.h) and in memory (scheduler/memory_store.h). Not
// thread-safe.
class Store {
 public:
  virtual ~Store() = default;

  // All records except those of the table "event".
  virtual absl::StatusOr<std::vector<StoredRecord>> ReadAll() = 0;

  // The job's events with sequences beyond `after`, ascending, at most `limit`. Errors: DATA_LOSS for an
  // event that can't be read.
  virtual absl::StatusOr<std::vector<JobEvent>> ReadEvents(JobId job, uint64_t after, int limit) = 0;

  // Carries out the Persist and Erase actions at the front of `actions`, all or none; they are durable when
  // it returns. On error the store is unchanged.
  virtual absl::Status Apply(const std::vector<Action>& actions) = 0;
};

}  // namespace shoal::scheduler
