// Texts as a vocabulary of ours encodes them.
#pragma once

#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "common/base/encoding.h"
#include "tasks/task.h"

namespace shoal::tasks {

// The text's tokens. A vocabulary of ours encodes each word by itself, and words are then what white space
// separates, as it does in whole texts: those of `words` that touch are one.
Encoding EncodeSeparateWords(const TextEncoder& encoder, absl::string_view text,
                             absl::Span<const TextSpan> words);

}  // namespace shoal::tasks
