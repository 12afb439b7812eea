// Validation of UTF-8.
#pragma once

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"

namespace shoal {

// Whether `bytes` is well-formed UTF-8 (Unicode 15, table 3-7: no overlong forms, no surrogates, nothing
// above U+10FFFF).
bool IsValidUtf8(absl::string_view bytes);

// The number of characters of valid UTF-8.
size_t CountCharacters(absl::string_view text);

// `bytes` with a '?' in place of each byte that is not part of well-formed UTF-8. For what goes into a
// protobuf string: a message with other bytes in it can be written but not parsed, and errors about damaged
// files quote what they found.
std::string ToValidUtf8(absl::string_view bytes);

// The first `limit` bytes of `bytes` as valid UTF-8, and "..." if that is not all. A character that would be
// cut in two is left out.
std::string CutUtf8(absl::string_view bytes, size_t limit);

// For messages that are stored and sent: CutUtf8 with kMaxMessage_bytes.
inline constexpr size_t kMaxMessage_bytes = 8192;
std::string ToMessage(absl::string_view bytes);

// For a value from a file that a message quotes: the same with kMaxQuoted_bytes, and with '?' in place of
// control characters, which would change the lines and colors of a terminal.
inline constexpr size_t kMaxQuoted_bytes = 100;
std::string ToQuoted(absl::string_view bytes);

}  // namespace shoal
