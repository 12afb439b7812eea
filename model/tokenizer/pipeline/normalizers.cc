#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "model/tokenizer/pipeline/character_classes.h"
#include "model/tokenizer/pipeline/normalizer.h"
#include "model/tokenizer/pipeline/pattern.h"
#include "model/tokenizer/pipeline/text_changes.h"

namespace shoal::model::pipeline {
namespace {

using NormalizerOr = absl::StatusOr<std::unique_ptr<Normalizer>>;

class LowercaseNormalizer : public Normalizer {
 public:
  void Apply(AlignedText* text) const override { Lowercase(text); }
  double MaxGrowth() const override { return 1.5; }
};

class StripAccents : public Normalizer {
 public:
  void Apply(AlignedText* text) const override { RemoveCharacters(text, IsCombiningMark); }
};

class FormNormalizer : public Normalizer {
 public:
  explicit FormNormalizer(UnicodeForm form) : form_(form) {}

  void Apply(AlignedText* text) const override { ApplyUnicodeForm(form_, text); }
  double MaxGrowth() const override { return kMaxUnicodeGrowth; }

 private:
  UnicodeForm form_;
};

class Prepend : public Normalizer {
 public:
  explicit Prepend(std::string prefix) : prefix_(std::move(prefix)) {}

  void Apply(AlignedText* text) const override {
    if (text->text().empty()) return;
    AlignedTextWriter writer(*text);
    writer.AddBefore(prefix_);
    writer.CopyTo(text->text().size());
    *text = std::move(writer).Finish();
  }
  double MaxGrowth() const override { return 1.0 + static_cast<double>(prefix_.size()); }

 private:
  std::string prefix_;
};

class Replace : public Normalizer {
 public:
  Replace(std::unique_ptr<Pattern> pattern, std::string content)
      : pattern_(std::move(pattern)), content_(std::move(content)) {}

  void Apply(AlignedText* text) const override {
    std::vector<ByteRange> matches;
    pattern_->FindMatches(text->text(), &matches);
    if (matches.empty()) return;
    AlignedTextWriter writer(*text);
    for (const ByteRange& match : matches) {
      writer.CopyTo(match.begin);
      writer.SkipTo(match.end);
      writer.Add(content_);
    }
    writer.CopyTo(text->text().size());
    *text = std::move(writer).Finish();
  }

  double MaxGrowth() const override {
    const auto bytes = static_cast<double>(content_.size());
    if (pattern_->MinBytes() == 0) return 2 + 2 * bytes;
    return std::max(1.0, bytes / static_cast<double>(pattern_->MinBytes()));
  }

 private:
  std::unique_ptr<Pattern> pattern_;
  std::string content_;
};

// Removes white space at the ends.
class Strip : public Normalizer {
 public:
  Strip(bool left, bool right) : left_(left), right_(right) {}

  void Apply(AlignedText* text) const override {
    const std::string& bytes = text->text();
    size_t begin = 0, end = bytes.size();
    while (left_ && begin < end && IsWhiteSpace(CharacterAt(bytes, begin).code)) {
      begin += CharacterAt(bytes, begin).bytes;
    }
    while (right_ && end > begin && IsWhiteSpace(CharacterBefore(bytes, end).code)) {
      end -= CharacterBefore(bytes, end).bytes;
    }
    if (end - begin == bytes.size()) return;
    AlignedTextWriter writer(*text);
    writer.SkipTo(begin);
    writer.CopyTo(end);
    *text = std::move(writer).Finish();
  }

 private:
  bool left_, right_;
};

class SequenceNormalizer : public Normalizer {
 public:
  explicit SequenceNormalizer(std::vector<std::unique_ptr<Normalizer>> steps) : steps_(std::move(steps)) {}

  void Apply(AlignedText* text) const override {
    for (const auto& step : steps_) step->Apply(text);
  }
  double MaxGrowth() const override {
    double growth = 1;
    for (const auto& step : steps_) growth *= step->MaxGrowth();
    return growth;
  }

 private:
  std::vector<std::unique_ptr<Normalizer>> steps_;
};

template <UnicodeForm form>
NormalizerOr ParseForm(JsonObject*) {
  return std::make_unique<FormNormalizer>(form);
}

NormalizerOr ParseLowercase(JsonObject*) { return std::make_unique<LowercaseNormalizer>(); }

NormalizerOr ParseStripAccents(JsonObject*) { return std::make_unique<StripAccents>(); }

NormalizerOr ParsePrepend(JsonObject* fields) {
  return std::make_unique<Prepend>(fields->RequiredString("prepend"));
}

NormalizerOr ParseReplace(JsonObject* fields) {
  SHOAL_ASSIGN_OR_RETURN(auto pattern, ParsePattern(fields));
  if (!fields->Has("content")) fields->Reject("content", "expected a string");
  return std::make_unique<Replace>(std::move(pattern), fields->String("content"));
}

NormalizerOr ParseStrip(JsonObject* fields) {
  const bool left = fields->Bool("strip_left", true);
  return std::make_unique<Strip>(left, fields->Bool("strip_right", true));
}

NormalizerOr ParseSequence(JsonObject* fields) {
  std::vector<std::unique_ptr<Normalizer>> steps;
  for (const JsonPlace& place : fields->Array("normalizers")) {
    SHOAL_ASSIGN_OR_RETURN(auto step, ParseNormalizer(place));
    steps.push_back(std::move(step));
  }
  return std::make_unique<SequenceNormalizer>(std::move(steps));
}

constexpr ComponentKind<Normalizer> kKinds[] = {
    {"BertNormalizer", ParseBertNormalizer},
    {"Lowercase", ParseLowercase},
    {"NFC", ParseForm<UnicodeForm::kNfc>},
    {"NFD", ParseForm<UnicodeForm::kNfd>},
    {"NFKC", ParseForm<UnicodeForm::kNfkc>},
    {"NFKD", ParseForm<UnicodeForm::kNfkd>},
    {"Precompiled", ParsePrecompiled},
    {"Prepend", ParsePrepend},
    {"Replace", ParseReplace},
    {"Sequence", ParseSequence},
    {"Strip", ParseStrip},
    {"StripAccents", ParseStripAccents},
};

}  // namespace

NormalizerOr ParseNormalizer(const JsonPlace& place) { return ParseComponent<Normalizer>(place, kKinds); }

}  // namespace shoal::model::pipeline
