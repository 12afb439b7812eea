// The scheduler's store in one SQLite file.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "scheduler/store.h"

namespace shoal::scheduler {

// Opens `path`, creating it if it does not exist. Uses a rollback journal with synchronous=FULL, so what
// Apply has written survives a power failure. Each record has a checksum, and all records except events share
// another, so that a half-applied transaction is noticed; a store in an older format is upgraded here. The
// file's structure is checked each time it is opened. Errors of this call and of the store:
// FAILED_PRECONDITION when another process has it open, or a newer release made it; RESOURCE_EXHAUSTED for a
// full disk; DATA_LOSS for a damaged file or record, with its table and key and what to do; errors of SQLite.
absl::StatusOr<std::unique_ptr<Store>> OpenSqliteStore(const std::string& path);

}  // namespace shoal::scheduler
