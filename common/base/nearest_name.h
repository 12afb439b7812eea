// "did you mean ...?"
#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace shoal {

// The candidate that `name` was probably meant to be, or "" when none is near: at most one edit per three
// letters. An edit inserts, deletes or replaces a letter or swaps two adjacent ones (restricted
// Damerau-Levenshtein distance); case, '-' and '_' don't count. Of several equally near candidates, the
// first.
std::string NearestName(absl::string_view name, const std::vector<std::string>& candidates);

// "; did you mean 'x'?", or "" when none is near.
std::string DidYouMean(absl::string_view name, const std::vector<std::string>& candidates);

}  // namespace shoal
