#include "common/utf8.h"

#include <cstddef>
#include <cstdint>

namespace shoal {
namespace {

// What may follow a lead byte: `more` bytes in all, of which the first lies in [low, high].
struct Continuation {
  size_t more;
  uint8_t low;
  uint8_t high;
};

constexpr size_t kNoLead = 4;

Continuation After(uint8_t lead) {
  if (lead < 0x80) return {0, 0, 0};
  if (lead < 0xC2) return {kNoLead, 0, 0};
  if (lead < 0xE0) return {1, 0x80, 0xBF};
  if (lead == 0xE0) return {2, 0xA0, 0xBF};
  if (lead == 0xED) return {2, 0x80, 0x9F};
  if (lead < 0xF0) return {2, 0x80, 0xBF};
  if (lead == 0xF0) return {3, 0x90, 0xBF};
  if (lead < 0xF4) return {3, 0x80, 0xBF};
  if (lead == 0xF4) return {3, 0x80, 0x8F};
  return {kNoLead, 0, 0};
}

}  // namespace

bool IsValidUtf8(absl::string_view bytes) {
  size_t i = 0;
  while (i < bytes.size()) {
    const Continuation next = After(static_cast<uint8_t>(bytes[i]));
    if (next.more == kNoLead || bytes.size() - i <= next.more) return false;
    for (size_t k = 1; k <= next.more; ++k) {
      const auto byte = static_cast<uint8_t>(bytes[i + k]);
      if (byte < (k == 1 ? next.low : 0x80) || byte > (k == 1 ? next.high : 0xBF)) return false;
    }
    i += next.more + 1;
  }
  return true;
}

}  // namespace shoal
