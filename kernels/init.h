// Initial parameters: pure functions of a key and the index of the element, so that a server makes just its
// own blocks.
#pragma once

#include <cstdint>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace shoal {

// The key of a parameter's random numbers: the first 64 bits of Philox4x32-10 under the job's seed at the
// FNV-1a hash of the name.
uint64_t InitKey(uint64_t seed, absl::string_view parameter_name);

// Elements [first, first + out.size()) of an array of independent normal numbers, by Box and Muller (1958)
// from Philox4x32-10. Any cut gives the same bits, with any instruction set. At most 5.8 standard deviations.
void FillNormal(uint64_t key, uint64_t first, float mean, float deviation, absl::Span<float> out);

// The same, uniform in [low, high).
void FillUniform(uint64_t key, uint64_t first, float low, float high, absl::Span<float> out);

}  // namespace shoal
