// Addresses and names of nodes, on a command line and in messages.
#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace shoal {

// Where a scheduler listens, and is looked for, unless told otherwise.
inline constexpr char kDefaultScheduler[] = "127.0.0.1:7070";

// "" when `address` is HOST:PORT with a port from 1 to 65535 (HOST may be [an IPv6 address]), else what was
// expected, in the form of a CLI11 check.
std::string AddressProblem(const std::string& address);

// "" when `text`, a node's name or address, is printable ASCII without blanks (or empty), else what was
// expected. Others could rewrite the lines of logs and terminals.
std::string NodeTextProblem(absl::string_view text);

// `text` with '-' for each byte that would be a problem; "unknown" when it is empty. For host names, which
// are what they are.
std::string ToNodeText(absl::string_view text);

// Whether `address` ("HOST:PORT") stands for every address of its machine, so that other machines can't
// connect to it: 0.0.0.0, [::], *, no host.
bool IsWildcard(absl::string_view address);

// "answers at HOST:PORT is not a Shoal scheduler (WHY)", without the parentheses when there is no `why`.
std::string NoSchedulerText(absl::string_view address, absl::string_view why);

}  // namespace shoal
