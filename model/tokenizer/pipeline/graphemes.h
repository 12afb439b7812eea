// Grapheme clusters: what a reader takes for one character (Unicode Standard Annex 29).
#pragma once

#include <cstddef>

#include "absl/strings/string_view.h"

namespace shoal::model::pipeline {

// The end of the extended grapheme cluster of `text` (valid UTF-8) that begins at byte `begin` < text.size().
// Of the rules of Unicode 15.0: conjuncts of Indic scripts (rule GB9c, Unicode 15.1) are not joined. Pure.
size_t GraphemeEnd(absl::string_view text, size_t begin);

}  // namespace shoal::model::pipeline
