// The versions of this build.
#pragma once

#include <cstdint>

namespace shoal {

// Daemons of different protocol versions refuse each other. Increment it when a change of messages or their
// meaning would make an older daemon misread them.
inline constexpr uint32_t kProtocolVersion = 8;

// For people and reports: release and compiler.
inline constexpr char kBuildVersion[] = "0.1.0 (GCC " __VERSION__ ")";

}  // namespace shoal
