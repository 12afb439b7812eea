#include "common/base/parameter_info.h"

namespace shoal {

uint64_t ElementsOf(const ParameterInfo& parameter) {
  uint64_t elements = 1;
  for (uint64_t dimension : parameter.shape()) {
    if (dimension == 0) return 0;
    if (dimension > kMaxParameters / elements) return kMaxParameters + 1;
    elements *= dimension;
  }
  return elements;
}

double RateFactor(const ParameterInfo& parameter) {
  return parameter.has_rate_factor() ? parameter.rate_factor() : 1;
}

}  // namespace shoal
