#include "common/base/plain_text.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "absl/strings/ascii.h"
#include "common/base/utf8.h"

namespace shoal {
namespace {

// Whether the character at `at` is one of U+0080 to U+009F, which many terminals obey. `text` is valid UTF-8,
// so a second byte follows.
bool IsWideControl(const std::string& text, size_t at) {
  return text[at] == '\xC2' && static_cast<uint8_t>(text[at + 1]) < 0xA0;
}

char Plain(char byte) {
  if (byte == '\n' || !absl::ascii_iscntrl(static_cast<uint8_t>(byte))) return byte;
  return absl::ascii_isspace(static_cast<uint8_t>(byte)) ? ' ' : '?';
}

}  // namespace

std::string PlainLines(absl::string_view bytes) {
  const std::string text = ToValidUtf8(bytes);
  std::string plain;
  for (size_t at = 0; at < text.size(); ++at) {
    const bool wide = IsWideControl(text, at);
    plain.push_back(wide ? '?' : Plain(text[at]));
    if (wide) ++at;
  }
  return plain;
}

std::string PlainLine(absl::string_view bytes) {
  std::string plain = PlainLines(bytes);
  std::replace(plain.begin(), plain.end(), '\n', ' ');
  return plain;
}

}  // namespace shoal
