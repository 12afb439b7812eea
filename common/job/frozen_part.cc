#include "common/job/frozen_part.h"

#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/base/utf8.h"

namespace shoal {

absl::StatusOr<FrozenPart> ParseFrozenPart(absl::string_view text) {
  if (text == "embeddings") return FrozenPart{FrozenPart::Kind::kEmbeddings};
  if (text == "weights") return FrozenPart{FrozenPart::Kind::kWeights};
  if (text == "layers") return FrozenPart{FrozenPart::Kind::kLayers, 0, FrozenPart::kLastLayer};
  FrozenPart part = {FrozenPart::Kind::kLayers};
  absl::string_view numbers = text;
  const bool one = absl::ConsumePrefix(&numbers, "layer ");
  if (one || absl::ConsumePrefix(&numbers, "layers ")) {
    const std::vector<absl::string_view> ends = absl::StrSplit(numbers, '-');
    if (ends.size() == (one ? 1 : 2) && absl::SimpleAtoi(ends.front(), &part.first) &&
        absl::SimpleAtoi(ends.back(), &part.last) && part.first <= part.last &&
        part.last != FrozenPart::kLastLayer)
      return part;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("expected embeddings, layers, layers 0-3, layer 5 (counted from 0) or weights, got '",
                   ToQuoted(text), "'"));
}

}  // namespace shoal
