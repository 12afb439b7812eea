#include "common/base/utf8.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "absl/strings/ascii.h"

namespace shoal {
namespace {

// What may follow a lead byte: `more` bytes in total, the first in [low, high].
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

// Bytes of the well-formed sequence at the front of `bytes`; 0: there is none.
size_t SequenceBytes(absl::string_view bytes) {
  const Continuation next = After(static_cast<uint8_t>(bytes[0]));
  if (next.more == kNoLead || bytes.size() <= next.more) return 0;
  for (size_t k = 1; k <= next.more; ++k) {
    const auto byte = static_cast<uint8_t>(bytes[k]);
    if (byte < (k == 1 ? next.low : 0x80) || byte > (k == 1 ? next.high : 0xBF)) return 0;
  }
  return next.more + 1;
}

}  // namespace

bool IsValidUtf8(absl::string_view bytes) {
  while (!bytes.empty()) {
    const size_t size = SequenceBytes(bytes);
    if (size == 0) return false;
    bytes.remove_prefix(size);
  }
  return true;
}

size_t CountCharacters(absl::string_view text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char byte) { return (byte & 0xC0) != 0x80; }));
}

std::string ToValidUtf8(absl::string_view bytes) {
  std::string text;
  while (!bytes.empty()) {
    const size_t size = SequenceBytes(bytes);
    text.append(size == 0 ? "?" : std::string(bytes.substr(0, size)));
    bytes.remove_prefix(size == 0 ? 1 : size);
  }
  return text;
}

std::string CutUtf8(absl::string_view bytes, size_t limit) {
  if (bytes.size() <= limit) return ToValidUtf8(bytes);
  size_t end = limit;
  while (end > 0 && limit - end < 3 && (static_cast<uint8_t>(bytes[end]) & 0xC0) == 0x80) --end;
  return ToValidUtf8(bytes.substr(0, end)) + "...";
}

std::string ToMessage(absl::string_view bytes) { return CutUtf8(bytes, kMaxMessage_bytes); }

std::string ToQuoted(absl::string_view bytes) {
  std::string text = CutUtf8(bytes, kMaxQuoted_bytes);
  std::replace_if(
      text.begin(), text.end(), [](char c) { return absl::ascii_iscntrl(static_cast<uint8_t>(c)); }, '?');
  return text;
}

}  // namespace shoal
