#include "model/tokenizer/pipeline/vocabulary.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/base/utf8.h"

namespace shoal::model::pipeline {

absl::StatusOr<Vocabulary> Vocabulary::Make(std::vector<Entry> entries) {
  Vocabulary result;
  result.entries_ = std::move(entries);
  result.ids_.reserve(result.entries_.size());
  for (uint32_t slot = 0; slot < result.entries_.size(); ++slot) {
    const auto& [text, id] = result.entries_[slot];
    if (id >= kMaxTokenId) {
      return absl::InvalidArgumentError(
          absl::StrCat("the id of '", ToQuoted(text), "' is ", id, ", expected less than ", kMaxTokenId));
    }
    if (id >= result.slots_.size()) result.slots_.resize(id + 1, kNone);
    if (result.slots_[id] != kNone) {
      return absl::InvalidArgumentError(absl::StrCat("'", ToQuoted(text), "' and '",
                                                     ToQuoted(*result.Text(id)), "' have the same id ", id));
    }
    result.slots_[id] = slot;
    result.ids_[text] = id;
  }
  return result;
}

}  // namespace shoal::model::pipeline
