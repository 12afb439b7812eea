#include <utility>
#include <vector>

#include "model/tokenizer/pipeline/character_classes.h"
#include "model/tokenizer/pipeline/pattern.h"
#include "model/tokenizer/pipeline/pre_tokenizer.h"

namespace shoal::model::pipeline {
namespace {

using PreTokenizerOr = absl::StatusOr<std::unique_ptr<PreTokenizer>>;

// Splits each piece by itself, without changing the text.
class Splitter : public PreTokenizer {
 public:
  void Apply(Pieces* pieces) const final {
    std::vector<ByteRange> parts;
    parts.reserve(pieces->ranges.size());
    for (const ByteRange& range : pieces->ranges) {
      SplitPiece(Part(pieces->text.text(), range), range.begin, &parts);
    }
    pieces->ranges = std::move(parts);
  }

 private:
  // Appends the parts of `piece`, which begins at byte `origin` of the text.
  virtual void SplitPiece(absl::string_view piece, size_t origin, std::vector<ByteRange>* parts) const = 0;
};

// Appends each longest run of characters of the same class, unless the class is kNoPart. With kAlone every
// character is a part.
enum class CharClass { kNoPart, kAlone, kWord, kOther };

template <typename Classify>
void SplitRuns(absl::string_view piece, size_t origin, Classify&& classify, std::vector<ByteRange>* parts) {
  CharClass previous = CharClass::kNoPart;
  for (size_t at = 0; at < piece.size();) {
    const Character c = CharacterAt(piece, at);
    const CharClass current = classify(c.code);
    const size_t begin = origin + at;
    at += c.bytes;
    if (current != CharClass::kNoPart) {
      if (current == previous && current != CharClass::kAlone) {
        parts->back().end = origin + at;
      } else {
        parts->push_back({begin, origin + at});
      }
    }
    previous = current;
  }
}

// Splits by a function of the character.
template <CharClass classify(uint32_t code)>
class ClassSplitter : public Splitter {
  void SplitPiece(absl::string_view piece, size_t origin, std::vector<ByteRange>* parts) const override {
    SplitRuns(piece, origin, classify, parts);
  }
};

CharClass WhitespaceSplitClass(uint32_t code) {
  return IsWhiteSpace(code) ? CharClass::kNoPart : CharClass::kWord;
}

// The regular expression \w+|[^\w\s]+.
CharClass WhitespaceClass(uint32_t code) {
  if (IsWhiteSpace(code)) return CharClass::kNoPart;
  return IsWordCharacter(code) ? CharClass::kWord : CharClass::kOther;
}

CharClass BertClass(uint32_t code) {
  if (IsWhiteSpace(code)) return CharClass::kNoPart;
  return IsPunctuation(code) ? CharClass::kAlone : CharClass::kWord;
}

CharClass DigitsClass(uint32_t code) { return IsNumber(code) ? CharClass::kWord : CharClass::kOther; }

CharClass SingleDigitsClass(uint32_t code) { return IsNumber(code) ? CharClass::kAlone : CharClass::kOther; }

class Punctuation : public Splitter {
 public:
  explicit Punctuation(SplitBehavior behavior) : behavior_(behavior) {}

 private:
  void SplitPiece(absl::string_view piece, size_t origin, std::vector<ByteRange>* parts) const override {
    std::vector<ByteRange> matches;
    for (size_t at = 0; at < piece.size();) {
      const Character c = CharacterAt(piece, at);
      if (IsPunctuation(c.code)) matches.push_back({at, at + c.bytes});
      at += c.bytes;
    }
    SplitByMatches(piece.size(), origin, matches, behavior_, false, parts);
  }

  SplitBehavior behavior_;
};

class Split : public Splitter {
 public:
  Split(std::unique_ptr<Pattern> pattern, SplitBehavior behavior, bool inverted)
      : pattern_(std::move(pattern)), behavior_(behavior), inverted_(inverted) {}

 private:
  void SplitPiece(absl::string_view piece, size_t origin, std::vector<ByteRange>* parts) const override {
    std::vector<ByteRange> matches;
    pattern_->FindMatches(piece, &matches);
    SplitByMatches(piece.size(), origin, matches, behavior_, inverted_, parts);
  }

  std::unique_ptr<Pattern> pattern_;
  SplitBehavior behavior_;
  bool inverted_;
};

class SequencePreTokenizer : public PreTokenizer {
 public:
  explicit SequencePreTokenizer(std::vector<std::unique_ptr<PreTokenizer>> steps)
      : steps_(std::move(steps)) {}

  void Apply(Pieces* pieces) const override {
    for (const auto& step : steps_) step->Apply(pieces);
  }
  double MaxGrowth() const override {
    double growth = 1;
    for (const auto& step : steps_) growth *= step->MaxGrowth();
    return growth;
  }

 private:
  std::vector<std::unique_ptr<PreTokenizer>> steps_;
};

template <CharClass classify(uint32_t code)>
PreTokenizerOr ParseClassSplitter(JsonObject*) {
  return std::make_unique<ClassSplitter<classify>>();
}

PreTokenizerOr ParseDigits(JsonObject* fields) {
  if (fields->Bool("individual_digits", false)) return std::make_unique<ClassSplitter<SingleDigitsClass>>();
  return std::make_unique<ClassSplitter<DigitsClass>>();
}

PreTokenizerOr ParsePunctuation(JsonObject* fields) {
  return std::make_unique<Punctuation>(ParseBehavior(fields, SplitBehavior::kIsolated));
}

PreTokenizerOr ParseSplit(JsonObject* fields) {
  SHOAL_ASSIGN_OR_RETURN(auto pattern, ParsePattern(fields));
  const SplitBehavior behavior = ParseBehavior(fields, SplitBehavior::kIsolated);
  return std::make_unique<Split>(std::move(pattern), behavior, fields->Bool("invert", false));
}

PreTokenizerOr ParseSequence(JsonObject* fields) {
  std::vector<std::unique_ptr<PreTokenizer>> steps;
  for (const JsonPlace& place : fields->Array("pretokenizers")) {
    SHOAL_ASSIGN_OR_RETURN(auto step, ParsePreTokenizer(place));
    steps.push_back(std::move(step));
  }
  return std::make_unique<SequencePreTokenizer>(std::move(steps));
}

constexpr ComponentKind<PreTokenizer> kKinds[] = {
    {"BertPreTokenizer", ParseClassSplitter<BertClass>},
    {"ByteLevel", ParseByteLevel},
    {"Digits", ParseDigits},
    {"Metaspace", ParseMetaspace},
    {"Punctuation", ParsePunctuation},
    {"Sequence", ParseSequence},
    {"Split", ParseSplit},
    {"Whitespace", ParseClassSplitter<WhitespaceClass>},
    {"WhitespaceSplit", ParseClassSplitter<WhitespaceSplitClass>},
};

}  // namespace

PreTokenizerOr ParsePreTokenizer(const JsonPlace& place) {
  return ParseComponent<PreTokenizer>(place, kKinds);
}

std::unique_ptr<PreTokenizer> MakeBertPreTokenizer() { return std::make_unique<ClassSplitter<BertClass>>(); }

}  // namespace shoal::model::pipeline
