// Text that came from elsewhere, harmless for a terminal.
#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace shoal {

// `bytes` as one line of valid UTF-8: a space in place of each line end and tab, '?' in place of any other
// control character, which could rewrite what a terminal shows.
std::string PlainLine(absl::string_view bytes);

// The same, but lines stay lines.
std::string PlainLines(absl::string_view bytes);

}  // namespace shoal
