// Memory of this process.
#pragma once

#include <cstdint>

namespace shoal {

// The most that it had resident so far; 0 where the system does not say.
int64_t PeakMemory_bytes();

}  // namespace shoal
