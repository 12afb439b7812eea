#include <algorithm>
#include <bitset>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "model/tokenizer/pipeline/charsmap.h"
#include "model/tokenizer/pipeline/graphemes.h"
#include "model/tokenizer/pipeline/normalizer.h"

namespace shoal::model::pipeline {
namespace {

// Longer grapheme clusters are looked up character by character.
constexpr size_t kMaxGraphemeBytes = 5;

// What `tokenizers` makes of SentencePiece's map, which is not what SentencePiece does: a grapheme cluster is
// replaced as a whole when the map has any string that it starts with, the shortest of them.
class PrecompiledNormalizer : public Normalizer {
 public:
  explicit PrecompiledNormalizer(Charsmap map) : map_(std::move(map)) {
    for (uint32_t code = 0; code < 128; ++code) {
      mapped_ascii_[code] = map_.FindShortest(Utf8Of(code)).has_value();
    }
  }

  void Apply(AlignedText* text) const override {
    std::vector<EditStep> steps;
    if (Script(text->text(), &steps)) ApplySteps(steps, text);
  }
  double MaxGrowth() const override {
    return std::max(1.0, static_cast<double>(map_.max_replacement_bytes()));
  }

 private:
  // Whether the byte at `at` is an ASCII character, ends its grapheme cluster and is not in the map.
  bool StaysAscii(absl::string_view text, size_t at) const {
    const auto is_ascii = [](char c) { return static_cast<signed char>(c) >= 0; };
    if (!is_ascii(text[at]) || mapped_ascii_[text[at]]) return false;
    return at + 1 == text.size() || (is_ascii(text[at + 1]) && text[at + 1] != '\n');
  }

  // The edit script of the whole text; false when it changes nothing.
  bool Script(absl::string_view text, std::vector<EditStep>* steps) const {
    bool changed = false;
    for (size_t at = 0; at < text.size();) {
      if (StaysAscii(text, at)) {
        steps->push_back({static_cast<uint32_t>(text[at++]), 0});
        continue;
      }
      const size_t end = GraphemeEnd(text, at);
      changed |= ScriptGrapheme(text.substr(at, end - at), steps);
      at = end;
    }
    return changed;
  }

  bool ScriptGrapheme(absl::string_view grapheme, std::vector<EditStep>* steps) const {
    if (grapheme.size() <= kMaxGraphemeBytes && Substitute(grapheme, steps)) return true;
    bool changed = false;
    for (size_t at = 0; at < grapheme.size();) {
      const Character c = CharacterAt(grapheme, at);
      if (Substitute(grapheme.substr(at, c.bytes), steps)) {
        changed = true;
      } else {
        steps->push_back({c.code, 0});
      }
      at += c.bytes;
    }
    return changed;
  }

  // Replaces all of `part`. Characters beyond as many as before are added ones; for missing ones, the last
  // step, even one before `part`, also leaves out what is too much.
  bool Substitute(absl::string_view part, std::vector<EditStep>* steps) const {
    const auto match = map_.FindShortest(part);
    if (!match.has_value()) return false;
    const absl::string_view replacement = match->replacement;
    for (size_t at = 0; at < replacement.size();) {
      const Character c = CharacterAt(replacement, at);
      steps->push_back({c.code, 0});
      at += c.bytes;
    }
    const int difference =
        static_cast<int>(CountCharacters(replacement)) - static_cast<int>(CountCharacters(part));
    for (int i = 0; i < difference; ++i) (*steps)[steps->size() - 1 - i].change = 1;
    if (difference < 0 && !steps->empty()) steps->back().change += difference;
    return true;
  }

  Charsmap map_;
  std::bitset<128> mapped_ascii_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Normalizer>> ParsePrecompiled(JsonObject* fields) {
  std::string bytes;
  if (!absl::Base64Unescape(fields->RequiredString("precompiled_charsmap"), &bytes)) {
    return InvalidAt(fields->PathOf("precompiled_charsmap"), "is not Base64");
  }
  auto map = Charsmap::Parse(bytes);
  if (!map.ok()) return InvalidAt(fields->PathOf("precompiled_charsmap"), map.status().message());
  return std::make_unique<PrecompiledNormalizer>(*std::move(map));
}

}  // namespace shoal::model::pipeline
