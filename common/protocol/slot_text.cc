#include "common/protocol/slot_text.h"

#include "absl/strings/str_cat.h"

namespace shoal {

std::string SlotText(EvaluationSet set, Version version, Slot slot) {
  const char* const what = set == EVALUATION_SET_TEST         ? "test after round "
                           : set == EVALUATION_SET_VALIDATION ? "evaluation after round "
                                                              : "round ";
  return absl::StrCat(what, version.value(), ", slot ", slot.value());
}

}  // namespace shoal
