// Relations between two parts of a text, <e1>...</e1> and <e2>...</e2>, as at SemEval-2010 task 8 (Hendrickx
// et al., 2010): labels such as "Cause-Effect(e1,e2)" and "Cause-Effect(e2,e1)", or "Other" for none of them.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace shoal::tasks {

// INVALID_ARGUMENT unless each of the four markers is there once, and both parts are marked in order, not one
// inside the other.
absl::Status CheckMarkers(absl::string_view text);

// The text as models see it: with "$" around the first part and "#" around the second one, which vocabularies
// have as pieces of their own (as R-BERT does: Wu and He, 2019). A text without markers stays as it is.
std::string WithPlainMarkers(absl::string_view text);

// The relation of a label, without its direction: "Cause-Effect"; "" for Other, in any letter case.
absl::string_view RelationOf(absl::string_view label);

// The relations of the labels, each once, in ascending order, without Other.
std::vector<std::string> RelationsOf(absl::Span<const std::string> labels);

}  // namespace shoal::tasks
