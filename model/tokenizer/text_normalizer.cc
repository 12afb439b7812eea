#include "model/tokenizer/text_normalizer.h"

#include "common/base/status.h"
#include "model/tokenizer/characters.h"
#include "unicode/bytestream.h"
#include "unicode/normalizer2.h"
#include "unicode/utf8.h"

namespace shoal::model {
namespace {

constexpr absl::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

std::string Nfkc(absl::string_view text) {
  UErrorCode error = U_ZERO_ERROR;
  const icu::Normalizer2* nfkc = icu::Normalizer2::getNFKCInstance(error);
  SHOAL_CHECK(U_SUCCESS(error));
  std::string result;
  icu::StringByteSink<std::string> sink(&result, static_cast<int32_t>(text.size()));
  nfkc->normalizeUTF8(0, icu::StringPiece(text.data(), static_cast<int32_t>(text.size())), sink, nullptr,
                      error);
  SHOAL_CHECK(U_SUCCESS(error));
  return result;
}

// NFKC has already turned Unicode's other spaces into U+0020.
bool IsSpace(UChar32 c) {
  return c == ' ' || (c >= '\t' && c <= '\r') || c == 0x85 || c == 0x1680 || c == 0x2028 || c == 0x2029 ||
         c == 0x2581;
}

bool IsDropped(UChar32 c) {
  return c < 0x20 || (c >= 0x7F && c <= 0x9F) || c == 0xAD || c == 0x200B || c == 0x2060 || c == 0xFEFF;
}

}  // namespace

absl::string_view NormalizerName(LetterCase letter_case) {
  return letter_case == LetterCase::kLower ? "shoal_nfkc_lower" : "shoal_nfkc";
}

std::optional<LetterCase> FindNormalizer(absl::string_view name) {
  for (const LetterCase letter_case : {LetterCase::kKept, LetterCase::kLower}) {
    if (name == NormalizerName(letter_case)) return letter_case;
  }
  return std::nullopt;
}

std::string NormalizeText(absl::string_view text, LetterCase letter_case) {
  const std::string nfkc = IsAscii(text) ? std::string(text) : Nfkc(text);
  std::string result;
  result.reserve(nfkc.size());
  bool space_due = false;
  const auto size = static_cast<int32_t>(nfkc.size());
  for (int32_t i = 0; i < size;) {
    const int32_t begin = i;
    UChar32 c;
    U8_NEXT_OR_FFFD(nfkc.data(), i, size, c);
    if (IsSpace(c)) {
      space_due = !result.empty();
    } else if (!IsDropped(c)) {
      if (space_due) result += ' ';
      space_due = false;
      if (c == 0xFFFD) {
        result.append(kReplacement.data(), kReplacement.size());
      } else if (letter_case == LetterCase::kLower) {
        AppendLower(static_cast<uint32_t>(c), &result);
      } else {
        result.append(nfkc, begin, i - begin);
      }
    }
  }
  return result;
}

}  // namespace shoal::model
