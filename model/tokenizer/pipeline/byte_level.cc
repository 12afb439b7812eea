#include <algorithm>
#include <utility>
#include <vector>

#include "model/tokenizer/byte_alphabet.h"
#include "model/tokenizer/pipeline/pre_tokenizer.h"
#include "model/tokenizer/pipeline/word_patterns.h"

namespace shoal::model::pipeline {
namespace {

// Puts a space before each piece that has none.
void AddPrefixSpaces(Pieces* pieces) {
  const std::string& text = pieces->text.text();
  AlignedTextWriter writer(pieces->text);
  for (ByteRange& range : pieces->ranges) {
    writer.SkipTo(range.begin);
    const size_t begin = writer.written();
    if (text[range.begin] != ' ') writer.AddBefore(" ");
    writer.CopyTo(range.end);
    range = {begin, writer.written()};
  }
  pieces->text = std::move(writer).Finish();
}

void SplitWords(Pieces* pieces) {
  std::vector<ByteRange> words;
  for (const ByteRange& range : pieces->ranges) {
    const absl::string_view piece = Part(pieces->text.text(), range);
    for (size_t at = 0; at < piece.size();) {
      const size_t end = WordEnd(WordPattern::kGpt2, piece, at);
      words.push_back({range.begin + at, range.begin + end});
      at = end;
    }
  }
  pieces->ranges = std::move(words);
}

void WriteBytes(Pieces* pieces) {
  const std::string& text = pieces->text.text();
  AlignedTextWriter writer(pieces->text);
  for (ByteRange& range : pieces->ranges) {
    const size_t begin = writer.written();
    for (size_t at = range.begin; at < range.end; ++at) {
      writer.SkipTo(at);
      writer.AddBefore(ByteCharacter(static_cast<uint8_t>(text[at])));
    }
    range = {begin, writer.written()};
  }
  pieces->text = std::move(writer).Finish();
}

class ByteLevel : public PreTokenizer {
 public:
  explicit ByteLevel(const ByteLevelOptions& options) : options_(options) {}

  void Apply(Pieces* pieces) const override {
    if (options_.add_prefix_space) AddPrefixSpaces(pieces);
    if (options_.use_regex) SplitWords(pieces);
    WriteBytes(pieces);
  }
  double MaxGrowth() const override { return options_.add_prefix_space ? 4 : 2; }

 private:
  ByteLevelOptions options_;
};

}  // namespace

std::unique_ptr<PreTokenizer> MakeByteLevel(const ByteLevelOptions& options) {
  return std::make_unique<ByteLevel>(options);
}

absl::StatusOr<std::unique_ptr<PreTokenizer>> ParseByteLevel(JsonObject* fields) {
  ByteLevelOptions options;
  options.add_prefix_space = fields->Bool("add_prefix_space", true);
  options.use_regex = fields->Bool("use_regex", true);
  fields->Ignore("trim_offsets");  // of the post-processor
  return MakeByteLevel(options);
}

}  // namespace shoal::model::pipeline
