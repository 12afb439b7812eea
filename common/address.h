// Addresses that one gives on a command line.
#pragma once

#include <string>

namespace shoal {

// "" when `address` is HOST:PORT with a port from 1 to 65535 (HOST may be [an IPv6 address]), else what was
// expected: as a check of CLI11 says it.
std::string AddressProblem(const std::string& address);

}  // namespace shoal
