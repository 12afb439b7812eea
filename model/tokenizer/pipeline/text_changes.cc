#include "model/tokenizer/pipeline/text_changes.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "common/base/status.h"
#include "model/tokenizer/pipeline/character_classes.h"
#include "unicode/normalizer2.h"
#include "unicode/uchar.h"
#include "unicode/unistr.h"

namespace shoal::model::pipeline {
namespace {

const icu::Normalizer2* ComposingInstance(bool compatible) {
  UErrorCode error = U_ZERO_ERROR;
  const icu::Normalizer2* const result =
      compatible ? icu::Normalizer2::getNFKCInstance(error) : icu::Normalizer2::getNFCInstance(error);
  SHOAL_CHECK(U_SUCCESS(error));
  return result;
}

uint8_t CombiningClass(uint32_t code) {
  return code >= 0x300 && IsInUnicode9(code) ? u_getCombiningClass(static_cast<UChar32>(code)) : 0;
}

// Normalizes a few characters at a time, as an edit script.
class FormScript {
 public:
  explicit FormScript(UnicodeForm form)
      : decomposing_(ComposingInstance(form == UnicodeForm::kNfkc || form == UnicodeForm::kNfkd)),
        composing_(ComposingInstance(false)),
        composes_(form == UnicodeForm::kNfc || form == UnicodeForm::kNfkc) {}

  const std::vector<EditStep>& Of(absl::string_view chunk) {
    steps_.clear();
    for (size_t i = 0; i < chunk.size();) {
      const Character c = CharacterAt(chunk, i);
      Decompose(c.code);
      i += c.bytes;
    }
    OrderMarks();
    if (composes_) Compose();
    return steps_;
  }

 private:
  void Decompose(uint32_t code) {
    if (code < 0x80 || !IsInUnicode9(code) ||
        !decomposing_->getDecomposition(static_cast<UChar32>(code), decomposition_)) {
      return steps_.push_back({code, 0});
    }
    for (int32_t i = 0; i < decomposition_.length(); i = decomposition_.moveIndex32(i, 1)) {
      steps_.push_back({static_cast<uint32_t>(decomposition_.char32At(i)), i == 0 ? 0 : 1});
    }
  }

  // Puts each run of marks into the order of their combining classes.
  void OrderMarks() {
    const auto is_mark = [](EditStep step) { return CombiningClass(step.code) != 0; };
    const auto by_class = [](EditStep a, EditStep b) {
      return CombiningClass(a.code) < CombiningClass(b.code);
    };
    for (auto it = steps_.begin(); it != steps_.end();) {
      const auto begin = std::find_if(it, steps_.end(), is_mark);
      it = std::find_if_not(begin, steps_.end(), is_mark);
      std::stable_sort(begin, it, by_class);
    }
  }

  // The composition of two characters, or 0.
  uint32_t Pair(uint32_t a, uint32_t b) const {
    const UChar32 result = composing_->composePair(static_cast<UChar32>(a), static_cast<UChar32>(b));
    return result >= 0 && IsInUnicode9(static_cast<uint32_t>(result)) ? static_cast<uint32_t>(result) : 0;
  }

  // Composes each starter with what follows it (Unicode Standard Annex 15), in place.
  void Compose() {
    constexpr size_t kNone = SIZE_MAX;
    size_t size = 0, starter = kNone;
    int last_class = -1;  // of the characters between the starter and this one; -1 when there is none
    for (const EditStep step : steps_) {
      const int combining_class = CombiningClass(step.code);
      const bool blocked = last_class >= combining_class;
      const uint32_t pair = starter == kNone || blocked ? 0 : Pair(steps_[starter].code, step.code);
      if (pair != 0) {
        steps_[starter] = {pair, steps_[starter].change + step.change - 1};
        continue;
      }
      if (combining_class == 0) {
        starter = size;
        last_class = -1;
      } else {
        last_class = combining_class;
      }
      steps_[size++] = step;
    }
    steps_.resize(size);
  }

  const icu::Normalizer2* decomposing_;
  const icu::Normalizer2* composing_;
  bool composes_;
  icu::UnicodeString decomposition_;
  std::vector<EditStep> steps_;
};

UProperty QuickCheckProperty(UnicodeForm form) {
  switch (form) {
    case UnicodeForm::kNfc:
      return UCHAR_NFC_QUICK_CHECK;
    case UnicodeForm::kNfd:
      return UCHAR_NFD_QUICK_CHECK;
    case UnicodeForm::kNfkc:
      return UCHAR_NFKC_QUICK_CHECK;
    case UnicodeForm::kNfkd:
      return UCHAR_NFKD_QUICK_CHECK;
  }
  return UCHAR_NFC_QUICK_CHECK;
}

// Whether a look at each character says that `text` is in the form of ICU's newer Unicode, and hence in that
// of Unicode 9, too. (Not Normalizer2::isNormalized, which takes quadratic time for a long run of marks.)
bool IsSurelyInForm(UnicodeForm form, absl::string_view text) {
  const UProperty quick_check = QuickCheckProperty(form);
  uint8_t last_class = 0;
  for (size_t i = 0; i < text.size();) {
    const Character c = CharacterAt(text, i);
    const auto code = static_cast<UChar32>(c.code);
    i += c.bytes;
    const uint8_t combining_class = c.code < 0x300 ? 0 : u_getCombiningClass(code);
    if (combining_class != 0 && combining_class < last_class) return false;
    if (c.code >= 0x80 && u_getIntPropertyValue(code, quick_check) != UNORM_YES) return false;
    last_class = combining_class;
  }
  return true;
}

size_t FindAscii(absl::string_view text, size_t at, bool ascii) {
  while (at < text.size() && (static_cast<signed char>(text[at]) >= 0) != ascii) ++at;
  return at;
}

}  // namespace

void Lowercase(AlignedText* text) {
  if (IsAscii(text->text())) {
    return text->MapAscii([](char c) { return absl::ascii_tolower(static_cast<unsigned char>(c)); });
  }
  const std::string& bytes = text->text();
  AlignedTextWriter writer(*text);
  std::string lower;
  for (size_t i = 0; i < bytes.size();) {
    const Character c = CharacterAt(bytes, i);
    lower.clear();
    AppendLower(c.code, &lower);
    if (lower != Part(bytes, {i, i + c.bytes})) {
      writer.CopyTo(i);
      writer.Replace(lower);
    }
    i += c.bytes;
  }
  writer.CopyTo(bytes.size());
  *text = std::move(writer).Finish();
}

void ApplyUnicodeForm(UnicodeForm form, AlignedText* text) {
  const std::string& bytes = text->text();
  if (IsAscii(bytes) || IsSurelyInForm(form, bytes)) return;
  AlignedTextWriter writer(*text);
  FormScript script(form);
  // ASCII characters never change, and of a run of them only the last can compose with what follows.
  for (size_t at = FindAscii(bytes, 0, false); at < bytes.size(); at = FindAscii(bytes, at, false)) {
    const size_t start = at == 0 ? 0 : at - 1;
    const size_t end = FindAscii(bytes, at, true);
    writer.CopyTo(start);
    for (const EditStep step : script.Of(Part(bytes, {start, end}))) TakeStep(step, &writer);
    at = end;
  }
  writer.CopyTo(bytes.size());
  *text = std::move(writer).Finish();
}

}  // namespace shoal::model::pipeline
