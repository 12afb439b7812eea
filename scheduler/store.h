// What survives the scheduler: tables of key and value in one SQLite file.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/types.h"
#include "proto/scheduler.pb.h"
#include "scheduler/actions.h"

struct sqlite3;

namespace shoal::scheduler {

// Not thread-safe. WAL with synchronous=FULL: what Apply has written survives a power failure.
class Store {
 public:
  // Opens `path`, making it when it is not there. Errors: FAILED_PRECONDITION when another process has it
  // open, or a newer version made it; what SQLite says.
  static absl::StatusOr<std::unique_ptr<Store>> Open(const std::string& path);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  // All records but those of the table "event".
  absl::StatusOr<std::vector<StoredRecord>> ReadAll();

  // The job's events with sequences beyond `after`, ascending, at most `limit`.
  absl::StatusOr<std::vector<JobEvent>> ReadEvents(JobId job, uint64_t after, int limit);

  // Carries out the Persist and Erase actions at the front of `actions`, all or none. Errors:
  // RESOURCE_EXHAUSTED for a full disk; what SQLite says. The store is unchanged then.
  absl::Status Apply(const std::vector<Action>& actions);

 private:
  Store(sqlite3* database, std::string path) : database_(database), path_(std::move(path)) {}
  absl::Status Execute(const char* sql);
  absl::Status Write(const std::vector<Action>& actions);
  absl::Status Error(int code) const;

  sqlite3* const database_;
  const std::string path_;
};

}  // namespace shoal::scheduler
