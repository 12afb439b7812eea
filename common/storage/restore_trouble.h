// Why a checkpoint can't be loaded, as servers and scheduler tell it.
#pragma once

#include "absl/status/status.h"
#include "proto/scheduler.pb.h"

namespace shoal {

// Of what the functions of common/storage/checkpoint.h say; NONE when it is OK, or nothing of these.
RestoreTrouble RestoreTroubleOf(const absl::Status& status);

}  // namespace shoal
