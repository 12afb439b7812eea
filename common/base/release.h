// Which Shoal this is.
#pragma once

#include <cstdint>

namespace shoal {

// Daemons of different protocol versions refuse each other. Raised when messages or their meaning change so
// that an older daemon would misread them.
inline constexpr uint32_t kProtocolVersion = 6;

// For people and reports: release and compiler.
inline constexpr char kBuildVersion[] = "0.1.0 (GCC " __VERSION__ ")";

}  // namespace shoal
