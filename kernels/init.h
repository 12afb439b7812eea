// Initial parameters: pure functions of a key and the index of the element, so that a server computes only
// its own blocks. The key is DeriveKey(seed, parameter name) of common/base/philox.h.
#pragma once

#include <cstdint>

#include "absl/types/span.h"

namespace shoal::kernels {

// Elements [first, first + out.size()) of an array of independent normal numbers, by Box and Muller (1958)
// from Philox4x32-10. The bits do not depend on how the array is cut or on the instruction set. None is more
// than 5.8 standard deviations from the mean.
void FillNormal(uint64_t key, uint64_t first, float mean, float deviation, absl::Span<float> out);

}  // namespace shoal::kernels
