#include "tasks/encoded_part.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace shoal::tasks {

void EncodedPart::AppendTokens(absl::Span<const uint32_t> example, absl::Span<const uint32_t> types_of) {
  const bool all_0 = std::all_of(types_of.begin(), types_of.end(), [](uint32_t type) { return type == 0; });
  if (!all_0 || !types.empty()) types.resize(tokens.size());  // of examples before this one
  for (uint32_t token : example) tokens.push_back(static_cast<int32_t>(token));
  for (size_t i = 0; i < types_of.size() && !all_0; ++i) types.push_back(static_cast<int32_t>(types_of[i]));
  if (!types.empty()) types.resize(tokens.size());
  offsets.push_back(tokens.size());
}

void EncodedPart::Append(const EncodedPart& other) {
  const uint64_t begin = offsets.back();
  for (size_t i = 1; i < other.offsets.size(); ++i) offsets.push_back(begin + other.offsets[i]);
  if (!types.empty() || !other.types.empty()) {
    types.resize(tokens.size());
    types.insert(types.end(), other.types.begin(), other.types.end());
    types.resize(tokens.size() + other.tokens.size());
  }
  tokens.insert(tokens.end(), other.tokens.begin(), other.tokens.end());
  classes.insert(classes.end(), other.classes.begin(), other.classes.end());
  targets.insert(targets.end(), other.targets.begin(), other.targets.end());
  notes.insert(notes.end(), other.notes.begin(), other.notes.end());
  cut += other.cut;
}

absl::Status FitTypes(uint64_t token_types, EncodedPart* part) {
  if (token_types == 0) part->types.clear();
  if (HasTypes(*part, token_types)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "the tokenizer marks the two texts of a pair as tokens of different types, but the model has ",
      token_types == 1 ? "one type" : absl::StrCat(token_types, " types"), " only"));
}

bool HasTypes(const EncodedPart& part, uint64_t token_types) {
  if (part.types.empty()) return true;
  return part.types.size() == part.tokens.size() &&
         std::all_of(part.types.begin(), part.types.end(),
                     [&](int32_t type) { return type >= 0 && static_cast<uint64_t>(type) < token_types; });
}

bool HasTargets(const EncodedPart& part, TargetKind kind, uint64_t labels) {
  const uint64_t classes = kind == TargetKind::kClass ? part.size()
                           : HasTokenClasses(kind)    ? part.tokens.size()
                                                      : 0;
  const uint64_t targets = kind == TargetKind::kNumbers ? part.size() * labels : 0;
  if (!part.notes.empty() && part.notes.size() != part.size()) return false;
  if (part.classes.size() != classes || part.targets.size() != targets) return false;
  return std::all_of(part.classes.begin(), part.classes.end(), [&](int32_t label) {
    const uint64_t classes_of = kind == TargetKind::kHiddenTokens ? part.tokens.size()
                                : kind == TargetKind::kSpan       ? kSpanClasses
                                                                  : labels;
    return label < 0 || static_cast<uint64_t>(label) < classes_of;
  });
}

}  // namespace shoal::tasks
