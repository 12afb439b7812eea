#include "model/tokenizer/unigram_tokenizer.h"

#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "common/base/status.h"
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
