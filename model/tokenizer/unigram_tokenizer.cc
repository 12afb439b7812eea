#include "model/tokenizer/unigram_tokenizer.h"

#include <algorithm>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "common/base/status.h"
#include "common/base/utf8.h"
#include "model/tokenizer/huggingface_tokenizer.h"
#include "model/tokenizer/sentencepiece_constants.h"
#include "model/tokenizer/unigram_model.h"

namespace shoal::model {

absl::StatusOr<std::unique_ptr<UnigramTokenizer>> UnigramTokenizer::FromBytes(absl::string_view bytes) {
  SHOAL_ASSIGN_OR_RETURN(UnigramModel model, ParseUnigramModel(bytes));
  auto made = absl::WrapUnique(new UnigramTokenizer());
  made->bytes_ = std::string(bytes);
  made->pieces_ = model.unigram.pieces;
  made->letter_case_ = model.letter_case;
  made->special_ = model.special;
  SHOAL_ASSIGN_OR_RETURN(made->model_, Annotate(pipeline::MakeUnigram(model.unigram), "SentencePiece model"));
  return made;
}

std::vector<uint32_t> UnigramTokenizer::Encode(absl::string_view text, size_t max_tokens) const {
  SHOAL_CHECK(max_tokens >= 2);
  std::vector<uint32_t> ids = {special_.cls};
  const std::string normal = NormalizeText(text, letter_case_);
  std::vector<pipeline::ModelToken> tokens;
  for (absl::string_view word : absl::StrSplit(normal, ' ', absl::SkipEmpty())) {
    if (ids.size() >= max_tokens) break;
    tokens.clear();
    model_->Tokenize(absl::StrCat(kSpacePiece, word), &tokens);
    for (const pipeline::ModelToken& token : tokens) ids.push_back(token.id);
  }
  if (ids.size() > max_tokens - 1) ids.resize(max_tokens - 1);
  ids.push_back(special_.sep);
  return ids;
}

void UnigramTokenizer::AppendWord(absl::string_view word, TextSpan place, Encoding* encoding) const {
  const std::string normal = NormalizeText(word, letter_case_);
  const bool as_long = CountCharacters(normal) == place.end - place.begin;
  std::vector<pipeline::ModelToken> tokens;
  uint32_t part_begin = place.begin;
  for (absl::string_view part : absl::StrSplit(normal, ' ', absl::SkipEmpty())) {
    tokens.clear();
    const std::string segment = absl::StrCat(kSpacePiece, part);
    model_->Tokenize(segment, &tokens);
    // Of the segment, before the token; the first one is not a character of the word.
    uint32_t characters = 0;
    for (const pipeline::ModelToken& token : tokens) {
      const absl::string_view piece = absl::string_view(segment).substr(token.begin, token.end - token.begin);
      const uint32_t begin = part_begin + std::max(characters, 1u) - 1;
      characters += static_cast<uint32_t>(CountCharacters(piece));
      const uint32_t end = std::max(begin + 1, part_begin + characters - 1);
      encoding->Append(token.id, 0, as_long ? TextSpan{begin, end} : place, TokenSource::kFirst);
    }
    part_begin += characters;  // the U+2581 stands for the space between parts
  }
}

std::string UnigramTokenizer::Decode(absl::Span<const uint32_t> ids) const {
  std::string text;
  for (uint32_t id : ids) {
    if (id == special_.unk) {
      absl::StrAppend(&text, kUnknownText);
    } else if (id < pieces_.size() && pieces_[id].is_segment) {
      absl::StrAppend(&text, pieces_[id].text);
    }
  }
  absl::StrReplaceAll({{kSpacePiece, " "}}, &text);
  if (!text.empty() && text[0] == ' ') text.erase(0, 1);
  return text;
}

std::vector<NamedFile> UnigramTokenizer::ExportFiles(uint32_t max_length) const {
  return HuggingFaceTokenizerFiles(*this, max_length);
}

}  // namespace shoal::model
