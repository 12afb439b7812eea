#include <algorithm>
#include <utility>

#include "model/tokenizer/pipeline/character_classes.h"
#include "model/tokenizer/pipeline/normalizer.h"
#include "model/tokenizer/pipeline/text_changes.h"

namespace shoal::model::pipeline {
namespace {

// Removes controls and U+FFFD, and turns each white space into a space.
void CleanText(AlignedText* text) {
  RemoveCharacters(text, [](uint32_t code) { return code == 0xFFFD || IsBertControl(code); });
  const std::string& bytes = text->text();
  if (IsAscii(bytes)) return text->MapAscii([](char c) { return IsWhiteSpace(c) ? ' ' : c; });
  AlignedTextWriter writer(*text);
  for (size_t i = 0; i < bytes.size();) {
    const Character c = CharacterAt(bytes, i);
    if (c.code != ' ' && IsWhiteSpace(c.code)) {
      writer.CopyTo(i);
      writer.Replace(" ");
    }
    i += c.bytes;
  }
  writer.CopyTo(bytes.size());
  *text = std::move(writer).Finish();
}

// Puts spaces around each Chinese character.
void SeparateChinese(AlignedText* text) {
  const std::string& bytes = text->text();
  if (IsAscii(bytes)) return;
  AlignedTextWriter writer(*text);
  for (size_t i = 0; i < bytes.size();) {
    const Character c = CharacterAt(bytes, i);
    if (IsChineseCharacter(c.code)) {
      writer.CopyTo(i);
      writer.AddBefore(" ");
      writer.CopyTo(i + c.bytes);
      writer.Add(" ");
    }
    i += c.bytes;
  }
  writer.CopyTo(bytes.size());
  *text = std::move(writer).Finish();
}

class BertNormalizer : public Normalizer {
 public:
  explicit BertNormalizer(const BertNormalizerOptions& options) : options_(options) {}

  void Apply(AlignedText* text) const override {
    if (options_.clean_text) CleanText(text);
    if (options_.handle_chinese_chars) SeparateChinese(text);
    if (options_.strip_accents && !IsAscii(text->text())) {
      ApplyUnicodeForm(UnicodeForm::kNfd, text);
      RemoveCharacters(text, IsNonspacingMark);
    }
    if (options_.lowercase) Lowercase(text);
  }
  double MaxGrowth() const override { return 2 * kMaxUnicodeGrowth; }

 private:
  BertNormalizerOptions options_;
};

}  // namespace

std::unique_ptr<Normalizer> MakeBertNormalizer(const BertNormalizerOptions& options) {
  return std::make_unique<BertNormalizer>(options);
}

absl::StatusOr<std::unique_ptr<Normalizer>> ParseBertNormalizer(JsonObject* fields) {
  BertNormalizerOptions options;
  options.clean_text = fields->Bool("clean_text", true);
  options.handle_chinese_chars = fields->Bool("handle_chinese_chars", true);
  options.lowercase = fields->Bool("lowercase", true);
  options.strip_accents = fields->Bool("strip_accents", options.lowercase);
  return MakeBertNormalizer(options);
}

}  // namespace shoal::model::pipeline
