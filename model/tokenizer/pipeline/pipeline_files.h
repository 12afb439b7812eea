// Loads the tokenizer files that Hugging Face's libraries and SentencePiece write.
//
// All loaders are safe for any bytes. Their errors are INVALID_ARGUMENT, name the file and the place inside
// it, and say what was expected. A component or an option that is not supported is such an error.
#pragma once

#include <memory>
#include <optional>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "model/tokenizer/pipeline/pipeline_tokenizer.h"

namespace shoal::model {

// tokenizer.json. The sections "truncation" and "padding" are ignored: the caller cuts and pads.
absl::StatusOr<std::unique_ptr<PipelineTokenizer>> LoadTokenizerJson(absl::string_view bytes);

// What BertTokenizer is given, with its defaults.
struct BertVocabularyOptions {
  bool do_lower_case = true;
  std::optional<bool> strip_accents;  // like do_lower_case when not set
  bool tokenize_chinese_chars = true;
};

// BERT's vocab.txt, a token per line, with the other parts as in BertTokenizer. The vocabulary has [UNK],
// [CLS] and [SEP].
absl::StatusOr<std::unique_ptr<PipelineTokenizer>> LoadBertVocabulary(absl::string_view vocab_txt,
                                                                      const BertVocabularyOptions& options);

enum class BytePairStyle {
  kGpt2,     // <|endoftext|> is special; no template
  kRoberta,  // <s>, </s>, <pad>, <unk>, <mask> are special; <s> A </s> and <s> A </s> </s> B </s>
};

// The vocab.json and merges.txt of a byte-level vocabulary, with the other parts as in GPT2Tokenizer or
// RobertaTokenizer.
absl::StatusOr<std::unique_ptr<PipelineTokenizer>> LoadBytePairVocabulary(absl::string_view vocab_json,
                                                                          absl::string_view merges_txt,
                                                                          BytePairStyle style);

// SentencePiece's spiece.model or tokenizer.model of type unigram: the ids are those of the SentencePiece
// library, which differ from a converted tokenizer.json for unusual characters. No template:
// add_special_tokens has no effect. Control pieces are special. Vocabularies that Shoal made are refused:
// their normal form is not in the file. LoadTokenizer (tokenizer.h) reads them.
absl::StatusOr<std::unique_ptr<PipelineTokenizer>> LoadSentencePieceModel(absl::string_view bytes);

}  // namespace shoal::model
