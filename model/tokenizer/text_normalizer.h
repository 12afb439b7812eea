// The normal form of a text, which is all that the vocabulary sees.
#pragma once

#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace shoal::model {

enum class LetterCase { kKept, kLower };

// Name of the normal form in a SentencePiece model's NormalizerSpec.
absl::string_view NormalizerName(LetterCase letter_case);

// The letter case of the normal form with this name; none when the name is not from NormalizerName.
std::optional<LetterCase> FindNormalizer(absl::string_view name);

// NFKC, and with kLower each character's lower case; then tab, line and paragraph separators and U+2581
// become spaces, and control and invisible characters (zero-width space, word joiner, byte order mark, soft
// hyphen) are removed; then runs of spaces become one space, and spaces at either end are removed. Bytes that
// are not UTF-8 become U+FFFD first. Pure; may be called by any thread.
//
// `tokenizers` can express exactly this form (huggingface_tokenizer.cc). That is why it is not
// SentencePiece's nmt_nfkc, whose map of longest prefixes has no equivalent there.
std::string NormalizeText(absl::string_view text, LetterCase letter_case = LetterCase::kKept);

}  // namespace shoal::model
