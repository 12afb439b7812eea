// Data for tests that is not in the tree.
#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace shoal {

// The folder `name` in $SHOAL_SHARED (../shared when that is not set or empty). When there is no such folder,
// returns "" and prints a line to stdout that says what is skipped: `what`, such as "the larger dumps". Only
// for tests.
std::string SharedFolder(absl::string_view name, absl::string_view what);

}  // namespace shoal
