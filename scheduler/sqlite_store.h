// The scheduler's store in one SQLite file.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "scheduler/store.h"

namespace shoal::scheduler {

// Opens `path`, making it when it is not there. A rollback journal with synchronous=FULL: what Apply has
// written survives a power failure. Each record has a checksum, and all but events a common one, so that half
// a transaction is noticed; a store of an older format gets them here. The file's structure is checked each
// time it is opened. Errors of this call and of the store's: FAILED_PRECONDITION when another process has it
// open, or a newer version made it; RESOURCE_EXHAUSTED for a full disk; DATA_LOSS for a damaged file or
// record, with its table and key and what to do; what SQLite says.
absl::StatusOr<std::unique_ptr<Store>> OpenSqliteStore(const std::string& path);

}  // namespace shoal::scheduler
