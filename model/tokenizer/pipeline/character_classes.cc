#include "model/tokenizer/pipeline/character_classes.h"

#include "unicode/uchar.h"

namespace shoal::model::pipeline {
namespace {

bool IsAsciiLetter(uint32_t code) { return (code | 0x20) - 'a' < 26u; }
bool IsAsciiDigit(uint32_t code) { return code - '0' < 10u; }

uint32_t CategoryMask(uint32_t code) { return U_GET_GC_MASK(static_cast<UChar32>(code)); }

bool IsAssignedBy(uint32_t code, uint8_t version) {
  UVersionInfo age;
  u_charAge(static_cast<UChar32>(code), age);
  return age[0] != 0 && age[0] <= version;
}

}  // namespace

bool IsWhiteSpace(uint32_t code) {
  if (code < 0x80) return code == ' ' || code - '\t' < 5u;
  return u_isUWhiteSpace(static_cast<UChar32>(code)) != 0;
}

bool IsLetter(uint32_t code) {
  if (code < 0x80) return IsAsciiLetter(code);
  return (CategoryMask(code) & U_GC_L_MASK) != 0;
}

bool IsNumber(uint32_t code) {
  if (code < 0x80) return IsAsciiDigit(code);
  return (CategoryMask(code) & U_GC_N_MASK) != 0;
}

bool IsWordCharacter(uint32_t code) {
  if (code < 0x80) return IsAsciiLetter(code) || IsAsciiDigit(code) || code == '_';
  constexpr uint32_t kMask = U_GC_M_MASK | U_GC_ND_MASK | U_GC_PC_MASK;
  return (CategoryMask(code) & kMask) != 0 || u_isUAlphabetic(static_cast<UChar32>(code)) || code == 0x200C ||
         code == 0x200D;
}

bool IsPunctuation(uint32_t code) {
  if (code < 0x80) return code > ' ' && code < 0x7F && !IsAsciiLetter(code) && !IsAsciiDigit(code);
  // Two that were punctuation then.
  if (code == 0x166D || code == 0x111C9) return true;
  return (CategoryMask(code) & U_GC_P_MASK) != 0 && IsAssignedBy(code, 8);
}

bool IsBertControl(uint32_t code) {
  if (code < 0x80) return (code < ' ' && code != '\t' && code != '\n' && code != '\r') || code == 0x7F;
  constexpr uint32_t kMask = U_GC_CC_MASK | U_GC_CF_MASK | U_GC_CO_MASK;
  return (CategoryMask(code) & kMask) != 0 && IsAssignedBy(code, 8);
}

bool IsNonspacingMark(uint32_t code) {
  if (code < 0x300) return false;
  if (code == 0x1734) return true;
  // Categories that changed after Unicode 8.
  if (code == 0x1885 || code == 0x1886 || code == 0xA9BD || code == 0x111C9) return false;
  return (CategoryMask(code) & U_GC_MN_MASK) != 0 && IsAssignedBy(code, 8);
}

bool IsCombiningMark(uint32_t code) {
  if (code < 0x300 || code == 0x111C9) return false;
  if (code == 0x1CF2 || code == 0x1CF3) return true;
  return (CategoryMask(code) & U_GC_M_MASK) != 0 && IsInUnicode9(code);
}

bool IsChineseCharacter(uint32_t code) {
  constexpr struct {
    uint32_t first, last;
  } kRanges[] = {{0x3400, 0x4DBF},   {0x4E00, 0x9FFF},   {0xF900, 0xFAFF},   {0x20000, 0x2A6DF},
                 {0x2A700, 0x2B73F}, {0x2B740, 0x2B81F}, {0x2B920, 0x2CEAF}, {0x2F800, 0x2FA1F}};
  if (code < 0x3400) return false;
  for (const auto& range : kRanges) {
    if (code >= range.first && code <= range.last) return true;
  }
  return false;
}

bool IsInUnicode9(uint32_t code) { return code < 0x80 || IsAssignedBy(code, 9); }

}  // namespace shoal::model::pipeline
