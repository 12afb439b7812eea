// Addresses on a command line.
#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace shoal {

// "" when `address` is HOST:PORT with a port from 1 to 65535 (HOST may be [an IPv6 address]), else what was
// expected, in the form of a CLI11 check.
std::string AddressProblem(const std::string& address);

// Whether `address` ("HOST:PORT") stands for every address of its machine, so that other machines can't
// connect to it: 0.0.0.0, [::], *, no host.
bool IsWildcard(absl::string_view address);

}  // namespace shoal
