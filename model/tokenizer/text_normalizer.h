// The one form of a text that the vocabulary sees.
#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace shoal {

// What SentencePiece calls a space inside a piece: U+2581.
inline constexpr absl::string_view kSpacePiece = "\xE2\x96\x81";

// Name of this form in a SentencePiece model's NormalizerSpec.
inline constexpr absl::string_view kNormalizerName = "shoal_nfkc";

// NFKC; then tab, line and paragraph separators and U+2581 become spaces, control characters and invisible
// ones (zero-width space, word joiner, byte order mark, soft hyphen) go; then runs of spaces become one, and
// none is left at either end. Bytes that are not UTF-8 become U+FFFD first. Pure; any thread.
//
// `tokenizers` can say exactly the same (huggingface_tokenizer.cc), which is why it is not SentencePiece's
// nmt_nfkc: its map of longest prefixes has no equal there.
std::string NormalizeText(absl::string_view text);

}  // namespace shoal
