#include "model/tokenizer/characters.h"

#include <algorithm>

#include "unicode/uchar.h"
#include "unicode/utf8.h"

namespace shoal::model {

Character CharacterBefore(absl::string_view text, size_t end) {
  size_t begin = end - 1;
  while (!IsCharacterBoundary(text, begin)) --begin;
  return CharacterAt(text, begin);
}

bool IsAscii(absl::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<signed char>(c) >= 0; });
}

void AppendUtf8(uint32_t code, std::string* out) {
  char bytes[U8_MAX_LENGTH];
  size_t length = 0;
  U8_APPEND_UNSAFE(bytes, length, code);
  out->append(bytes, length);
}

std::string Utf8Of(uint32_t code) {
  std::string result;
  AppendUtf8(code, &result);
  return result;
}

void AppendLower(uint32_t code, std::string* out) {
  constexpr uint32_t kDottedCapitalI = 0x130;
  AppendUtf8(static_cast<uint32_t>(u_tolower(static_cast<UChar32>(code))), out);
  if (code == kDottedCapitalI) out->append("\u0307");
}

std::string ReplaceInvalidUtf8(absl::string_view bytes) {
  std::string result;
  result.reserve(bytes.size());
  for (size_t i = 0; i < bytes.size();) {
    UChar32 code;
    U8_NEXT_OR_FFFD(bytes.data(), i, bytes.size(), code);
    AppendUtf8(static_cast<uint32_t>(code), &result);
  }
  return result;
}

}  // namespace shoal::model
