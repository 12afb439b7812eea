// Memory of this process.
#pragma once

#include <cstdint>

namespace shoal::bench {

// The peak resident memory so far; 0 where the system does not report it.
int64_t PeakMemory_bytes();

}  // namespace shoal::bench
