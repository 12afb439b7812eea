// The words of a text that is not split into words yet.
#pragma once

#include <vector>

#include "absl/strings/string_view.h"
#include "common/base/encoding.h"

namespace shoal::model {

// The words of `text`, which is valid UTF-8: what white space separates, with each mark of punctuation and
// each ideograph by itself, as BERT's basic tokenizer splits texts (Devlin et al., 2019), except that control
// characters are white space. Pure.
std::vector<TextSpan> SplitWords(absl::string_view text);

}  // namespace shoal::model
