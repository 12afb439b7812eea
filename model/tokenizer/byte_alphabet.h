// The printable characters with which byte-level vocabularies write bytes (Radford et al. 2019): those of
// Latin-1 that are visible stand for themselves, the other 68 bytes are U+0100 and on.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace shoal::model {

// The character of a space.
inline constexpr uint32_t kByteLevelSpace = 0x120;

// The character of `byte`, in UTF-8.
absl::string_view ByteCharacter(uint8_t byte);

// The byte whose character is `code`.
std::optional<uint8_t> ByteOfCharacter(uint32_t code);

}  // namespace shoal::model
