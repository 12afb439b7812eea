#include "model/tokenizer/pipeline/pipeline_files.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/base/status.h"
#include "common/base/utf8.h"
#include "model/tokenizer/pipeline/pipeline_parts.h"

namespace shoal::model {

using pipeline::AddedToken;
using pipeline::Json;
using pipeline::JsonObject;
using pipeline::JsonPlace;
using pipeline::Parts;
using pipeline::Vocabulary;

namespace {

using TokenizerOr = absl::StatusOr<std::unique_ptr<PipelineTokenizer>>;

// `result`, with the file's name in an error.
template <typename Result>
Result InFile(absl::string_view file, Result result) {
  if (!result.ok()) return Annotate(result.status(), file);
  return result;
}

absl::StatusOr<Json> ParseJson(absl::string_view bytes) {
  Json json = Json::parse(bytes.begin(), bytes.end(), nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) return absl::InvalidArgumentError("is not valid JSON");
  return json;
}

// Reads the optional component `name`.
template <typename Component>
absl::Status ParsePart(JsonObject* file, const char* name,
                       absl::StatusOr<std::unique_ptr<Component>> (*parse)(const JsonPlace&),
                       std::unique_ptr<Component>* part) {
  if (!file->Has(name)) return absl::OkStatus();
  SHOAL_ASSIGN_OR_RETURN(*part, parse(file->Required(name)));
  return absl::OkStatus();
}

absl::StatusOr<Parts> ParseParts(const Json& json) {
  JsonObject file({&json, "", 0});
  Parts parts;
  for (const char* ignored : {"version", "truncation", "padding"}) file.Ignore(ignored);
  for (const JsonPlace& place : file.Array("added_tokens")) {
    SHOAL_ASSIGN_OR_RETURN(AddedToken token, pipeline::ParseAddedToken(place));
    parts.added_tokens.push_back(std::move(token));
  }
  SHOAL_RETURN_IF_ERROR(ParsePart(&file, "normalizer", pipeline::ParseNormalizer, &parts.normalizer));
  SHOAL_RETURN_IF_ERROR(ParsePart(&file, "pre_tokenizer", pipeline::ParsePreTokenizer, &parts.pre_tokenizer));
  SHOAL_RETURN_IF_ERROR(
      ParsePart(&file, "post_processor", pipeline::ParsePostProcessor, &parts.post_processor));
  SHOAL_RETURN_IF_ERROR(ParsePart(&file, "decoder", pipeline::ParseDecoder, &parts.decoder));
  const JsonPlace model = file.Required("model");
  SHOAL_RETURN_IF_ERROR(file.Finish());
  SHOAL_ASSIGN_OR_RETURN(parts.model, pipeline::ParseSubwordModel(model));
  return parts;
}

TokenizerOr FromJson(absl::string_view bytes) {
  SHOAL_ASSIGN_OR_RETURN(const Json json, ParseJson(bytes));
  SHOAL_ASSIGN_OR_RETURN(Parts parts, ParseParts(json));
  return PipelineTokenizer::Make(std::move(parts));
}

// Special tokens that the vocabulary has.
std::vector<AddedToken> SpecialTokens(const Vocabulary& vocabulary,
                                      const std::vector<const char*>& contents) {
  std::vector<AddedToken> tokens;
  for (const char* content : contents) {
    const auto id = vocabulary.Find(content);
    if (!id.has_value()) continue;
    AddedToken token;
    token.content = content;
    token.id = *id;
    token.special = true;
    tokens.push_back(token);
  }
  return tokens;
}

absl::StatusOr<uint32_t> RequiredId(const Vocabulary& vocabulary, absl::string_view token) {
  if (const auto id = vocabulary.Find(token)) return *id;
  return absl::InvalidArgumentError(absl::StrCat("has no token '", token, "'"));
}

// One token per line; the line's number is its id.
absl::StatusOr<Vocabulary> ParseVocabularyLines(absl::string_view text) {
  if (!IsValidUtf8(text)) return absl::InvalidArgumentError("is not UTF-8");
  std::vector<Vocabulary::Entry> entries;
  for (absl::string_view line : absl::StrSplit(absl::StripSuffix(text, "\n"), '\n')) {
    entries.push_back({std::string(absl::StripSuffix(line, "\r")), static_cast<uint32_t>(entries.size())});
  }
  return Vocabulary::Make(std::move(entries));
}

TokenizerOr FromBertVocabulary(absl::string_view text, const BertVocabularyOptions& options) {
  SHOAL_ASSIGN_OR_RETURN(Vocabulary vocabulary, ParseVocabularyLines(text));
  SHOAL_ASSIGN_OR_RETURN(const uint32_t cls_id, RequiredId(vocabulary, "[CLS]"));
  SHOAL_ASSIGN_OR_RETURN(const uint32_t sep_id, RequiredId(vocabulary, "[SEP]"));
  Parts parts;
  parts.added_tokens = SpecialTokens(vocabulary, {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"});
  pipeline::BertNormalizerOptions normalizer;
  normalizer.lowercase = options.do_lower_case;
  normalizer.strip_accents = options.strip_accents.value_or(options.do_lower_case);
  normalizer.handle_chinese_chars = options.tokenize_chinese_chars;
  parts.normalizer = pipeline::MakeBertNormalizer(normalizer);
  parts.pre_tokenizer = pipeline::MakeBertPreTokenizer();
  SHOAL_ASSIGN_OR_RETURN(parts.model, pipeline::MakeWordPiece(std::move(vocabulary), {}));
  parts.post_processor = pipeline::MakeBertProcessing(cls_id, sep_id);
  parts.decoder = pipeline::MakeWordPieceDecoder("##", true);
  return PipelineTokenizer::Make(std::move(parts));
}

absl::StatusOr<Vocabulary> ParseVocabularyJson(absl::string_view bytes) {
  SHOAL_ASSIGN_OR_RETURN(const Json json, ParseJson(bytes));
  return pipeline::ParseVocabulary({&json, "", 0});
}

absl::Status AddRobertaParts(const Vocabulary& vocabulary, Parts* parts) {
  SHOAL_ASSIGN_OR_RETURN(const uint32_t cls_id, RequiredId(vocabulary, "<s>"));
  SHOAL_ASSIGN_OR_RETURN(const uint32_t sep_id, RequiredId(vocabulary, "</s>"));
  parts->added_tokens = SpecialTokens(vocabulary, {"<s>", "<pad>", "</s>", "<unk>", "<mask>"});
  for (AddedToken& token : parts->added_tokens) token.lstrip = token.content == "<mask>";
  parts->post_processor = pipeline::MakeRobertaProcessing(cls_id, sep_id, {true, false});
  return absl::OkStatus();
}

absl::Status AddStyle(BytePairStyle style, const Vocabulary& vocabulary, Parts* parts) {
  if (style == BytePairStyle::kRoberta) return AddRobertaParts(vocabulary, parts);
  parts->added_tokens = SpecialTokens(vocabulary, {"<|endoftext|>"});
  parts->post_processor = pipeline::MakeByteLevelProcessing({false, false});
  return absl::OkStatus();
}

}  // namespace

TokenizerOr LoadTokenizerJson(absl::string_view bytes) { return InFile("tokenizer.json", FromJson(bytes)); }

TokenizerOr LoadBertVocabulary(absl::string_view vocab_txt, const BertVocabularyOptions& options) {
  return InFile("vocab.txt", FromBertVocabulary(vocab_txt, options));
}

TokenizerOr LoadBytePairVocabulary(absl::string_view vocab_json, absl::string_view merges_txt,
                                   BytePairStyle style) {
  SHOAL_ASSIGN_OR_RETURN(Vocabulary vocabulary, InFile("vocab.json", ParseVocabularyJson(vocab_json)));
  SHOAL_ASSIGN_OR_RETURN(const auto merges, InFile("merges.txt", pipeline::ParseMergesText(merges_txt)));
  Parts parts;
  SHOAL_RETURN_IF_ERROR(Annotate(AddStyle(style, vocabulary, &parts), "vocab.json"));
  SHOAL_ASSIGN_OR_RETURN(parts.model,
                         InFile("merges.txt", pipeline::MakeBpe(std::move(vocabulary), merges, {})));
  parts.pre_tokenizer = pipeline::MakeByteLevel({});
  parts.decoder = pipeline::MakeByteLevelDecoder();
  return InFile("vocab.json", PipelineTokenizer::Make(std::move(parts)));
}

}  // namespace shoal::model
