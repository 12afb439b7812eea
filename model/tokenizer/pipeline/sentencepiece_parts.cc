#include "model/tokenizer/pipeline/sentencepiece_parts.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "model/tokenizer/piece_trie.h"
#include "model/tokenizer/sentencepiece_constants.h"

namespace shoal::model::pipeline {
namespace {

PieceTrie TrieOf(const std::vector<std::string>& texts) {
  std::vector<PieceTrie::Entry> entries;
  for (const std::string& text : texts) {
    if (!text.empty()) entries.push_back({text, 0});
  }
  return PieceTrie(std::move(entries));
}

class SentencePieceNormalizer : public Normalizer {
 public:
  SentencePieceNormalizer(Charsmap map, const std::vector<std::string>& verbatim,
                          const SentencePieceSpacing& spacing)
      : map_(std::move(map)),
        verbatim_(TrieOf(verbatim)),
        spacing_(spacing),
        space_(spacing.escape_whitespaces ? kSpacePiece : " ") {}

  void Apply(AlignedText* text) const override {
    const std::string& bytes = text->text();
    AlignedTextWriter writer(*text);
    if (spacing_.remove_extra_whitespaces) SkipSpaces(bytes, &writer);
    if (spacing_.add_dummy_prefix && writer.position() < bytes.size()) writer.AddBefore(space_);
    bool after_space = spacing_.remove_extra_whitespaces;
    while (writer.position() < bytes.size()) WriteNext(bytes, &after_space, &writer);
    AlignedText result = std::move(writer).Finish();
    *text = spacing_.remove_extra_whitespaces ? WithoutEndSpaces(result) : std::move(result);
  }
  double MaxGrowth() const override {
    return 4 * std::max(1.0, static_cast<double>(map_.max_replacement_bytes()));
  }

 private:
  // What the text at byte `at` becomes: the bytes taken, and what replaces them.
  Charsmap::Match Next(absl::string_view text, size_t at) const {
    size_t verbatim_bytes = 0;
    const absl::string_view rest = text.substr(at);
    verbatim_.ForEachPrefix(rest, [&](size_t bytes, uint32_t) { verbatim_bytes = bytes; });
    if (verbatim_bytes > 0) return {verbatim_bytes, rest.substr(0, verbatim_bytes)};
    if (const auto match = map_.FindLongest(rest)) return *match;
    const size_t bytes = CharacterAt(text, at).bytes;
    return {bytes, rest.substr(0, bytes)};
  }

  void SkipSpaces(absl::string_view text, AlignedTextWriter* writer) const {
    while (writer->position() < text.size()) {
      const Charsmap::Match next = Next(text, writer->position());
      if (next.replacement != " ") return;
      writer->SkipTo(writer->position() + next.bytes);
    }
  }

  void WriteNext(absl::string_view text, bool* after_space, AlignedTextWriter* writer) const {
    const Charsmap::Match next = Next(text, writer->position());
    absl::string_view replacement = next.replacement;
    while (*after_space && absl::ConsumePrefix(&replacement, " ")) {
    }
    if (!replacement.empty()) *after_space = absl::EndsWith(replacement, " ");
    if (!spacing_.remove_extra_whitespaces) *after_space = false;
    writer->ReplaceTo(writer->position() + next.bytes, absl::StrReplaceAll(replacement, {{" ", space_}}));
  }

  AlignedText WithoutEndSpaces(const AlignedText& text) const {
    absl::string_view rest = text.text();
    while (absl::ConsumeSuffix(&rest, space_)) {
    }
    return text.Slice({0, rest.size()});
  }

  Charsmap map_;
  PieceTrie verbatim_;
  SentencePieceSpacing spacing_;
  absl::string_view space_;
};

class SentencePieceDecoder : public Decoder {
 public:
  SentencePieceDecoder(absl::flat_hash_map<std::string, std::string> surfaces,
                       const SentencePieceSpacing& spacing)
      : surfaces_(std::move(surfaces)), spacing_(spacing), bytes_(MakeByteFallbackDecoder()) {}

  void Apply(std::vector<std::string>* tokens) const override {
    bytes_->Apply(tokens);
    std::string text;
    for (const std::string& token : *tokens) {
      const auto it = surfaces_.find(token);
      text += it != surfaces_.end() ? it->second : Text(token, text.empty());
    }
    *tokens = {std::move(text)};
  }
  double MaxGrowth() const override { return 3; }

 private:
  std::string Text(absl::string_view token, bool first) const {
    if (first && (spacing_.add_dummy_prefix || spacing_.remove_extra_whitespaces)) {
      absl::ConsumePrefix(&token, kSpacePiece);
    }
    return absl::StrReplaceAll(token, {{kSpacePiece, " "}});
  }

  absl::flat_hash_map<std::string, std::string> surfaces_;
  SentencePieceSpacing spacing_;
  std::unique_ptr<Decoder> bytes_;
};

}  // namespace

std::unique_ptr<Normalizer> MakeSentencePieceNormalizer(Charsmap map,
                                                        const std::vector<std::string>& verbatim,
                                                        const SentencePieceSpacing& spacing) {
  return std::make_unique<SentencePieceNormalizer>(std::move(map), verbatim, spacing);
}

std::unique_ptr<Decoder> MakeSentencePieceDecoder(absl::flat_hash_map<std::string, std::string> surfaces,
                                                  const SentencePieceSpacing& spacing) {
  return std::make_unique<SentencePieceDecoder>(std::move(surfaces), spacing);
}

}  // namespace shoal::model::pipeline
