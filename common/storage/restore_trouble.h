// Why a checkpoint can't be loaded, as servers report it to the scheduler.
#pragma once

#include "absl/status/status.h"
#include "proto/scheduler.pb.h"

namespace shoal {

// The kind of an error of common/storage/checkpoint.h; NONE when `status` is OK or none of the kinds.
RestoreTrouble RestoreTroubleOf(const absl::Status& status);

}  // namespace shoal
