#include "common/job/class_weight.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/utf8.h"

namespace shoal {
namespace {

constexpr double kMaxWeight = 1e6;

}  // namespace

absl::StatusOr<ClassWeight> ParseClassWeight(absl::string_view text) {
  const size_t equals = text.rfind('=');
  ClassWeight parsed;
  const bool is_weight = equals != text.npos && equals > 0 &&
                         absl::SimpleAtod(text.substr(equals + 1), &parsed.weight) && parsed.weight >= 0 &&
                         parsed.weight <= kMaxWeight;
  if (!is_weight) {
    return absl::InvalidArgumentError(
        absl::StrCat("expected ", kBalancedWeights,
                     " alone, or LABEL=WEIGHT with a number from 0 to 1000000, got '", ToQuoted(text), "'"));
  }
  parsed.label = std::string(text.substr(0, equals));
  return parsed;
}

}  // namespace shoal
