// Unpredictable, unrepeatable numbers. What must be the same on every machine draws from
// common/base/philox.h.
#pragma once

#include <cstdint>

namespace shoal {

// From the operating system; any thread.
uint64_t DrawRandom();

}  // namespace shoal
