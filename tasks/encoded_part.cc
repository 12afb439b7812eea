#include "tasks/encoded_part.h"

#include <algorithm>

namespace shoal::tasks {

void EncodedPart::AppendTokens(absl::Span<const uint32_t> example) {
  for (uint32_t token : example) tokens.push_back(static_cast<int32_t>(token));
  offsets.push_back(tokens.size());
}

void EncodedPart::Append(const EncodedPart& other) {
  const uint64_t begin = offsets.back();
  for (size_t i = 1; i < other.offsets.size(); ++i) offsets.push_back(begin + other.offsets[i]);
  tokens.insert(tokens.end(), other.tokens.begin(), other.tokens.end());
  classes.insert(classes.end(), other.classes.begin(), other.classes.end());
  targets.insert(targets.end(), other.targets.begin(), other.targets.end());
  cut += other.cut;
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
