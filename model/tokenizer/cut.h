// Cuts encodings to a length.
#pragma once

#include <cstddef>

#include "common/base/encoding.h"

namespace shoal::model {

// Removes tokens from the ends of the texts until at most `max_tokens` are left, as `transformers` does by
// default ("longest_first"): the longer text loses tokens until both have as many, then both; of an odd
// number the longer one keeps one more, the second of equal ones. Tokens of the template are kept, except
// those past `max_tokens` of them.
void CutTo(size_t max_tokens, Encoding* encoding);

}  // namespace shoal::model
