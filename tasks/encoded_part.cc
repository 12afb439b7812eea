#include "tasks/encoded_part.h"

#include <algorithm>

namespace shoal::tasks {

void EncodedPart::AppendTokens(absl::Span<const uint32_t> example) {
  for (uint32_t token : example) tokens.push_back(static_cast<int32_t>(token));
  offsets.push_back(tokens.size());
}

bool HasTargets(const EncodedPart& part, TargetKind kind, uint64_t labels) {
  const uint64_t classes = kind == TargetKind::kClass          ? part.size()
                           : kind == TargetKind::kTokenClasses ? part.tokens.size()
                                                               : 0;
  const uint64_t targets = kind == TargetKind::kNumbers ? part.size() * labels : 0;
  if (part.classes.size() != classes || part.targets.size() != targets) return false;
  return std::all_of(part.classes.begin(), part.classes.end(), [&](int32_t label) {
    return label < 0 ? kind == TargetKind::kTokenClasses : static_cast<uint64_t>(label) < labels;
  });
}

}  // namespace shoal::tasks
