// What the views in the server tests have in common.
#pragma once

#include <cstdint>

#include "common/protocol/view_key.h"

namespace shoal::server {

inline ViewKey Key(uint64_t view) { return {JobId(1), TrainingId(77), ViewId(view)}; }

}  // namespace shoal::server
