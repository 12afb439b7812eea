#include "model/tokenizer/pipeline/pipeline_files.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "catch2/catch.hpp"
#include "model/tokenizer/pipeline/test_cases.h"
#include "model/tokenizer/sentencepiece.pb.h"
#include "model/tokenizer/text_normalizer.h"

namespace shoal::model {
namespace {

using Ids = std::vector<uint32_t>;

constexpr char kModel[] = R"({"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": [["a", "b"]]})";

// The message of the error for a tokenizer.json with these parts.
std::string ErrorOf(const std::string& parts, const std::string& model = kModel) {
  const auto tokenizer =
      LoadTokenizerJson(absl::StrCat("{", parts, parts.empty() ? "" : ", ", "\"model\": ", model, "}"));
  REQUIRE_FALSE(tokenizer.ok());
  CHECK(tokenizer.status().code() == absl::StatusCode::kInvalidArgument);
  return std::string(tokenizer.status().message());
}

TEST_CASE("A component that is not supported is named with its place in the file") {
  CHECK(ErrorOf(R"("normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Nmt"}]})") ==
        "tokenizer.json: normalizer.normalizers[1].type is 'Nmt', which is not supported; expected "
        "BertNormalizer, "
        "Lowercase, NFC, NFD, NFKC, NFKD, Precompiled, Prepend, Replace, Sequence, Strip, StripAccents");
  CHECK_THAT(ErrorOf(R"("pre_tokenizer": {"type": "UnicodeScripts"})"),
             Catch::StartsWith("tokenizer.json: pre_tokenizer.type"));
  CHECK_THAT(ErrorOf(R"("post_processor": {"type": "X"})"),
             Catch::StartsWith("tokenizer.json: post_processor.type"));
  CHECK_THAT(ErrorOf(R"("decoder": {"type": "CTC"})"), Catch::StartsWith("tokenizer.json: decoder.type"));
  CHECK_THAT(ErrorOf("", R"({"type": "WordLevel"})"),
             Catch::StartsWith("tokenizer.json: model.type is 'WordLevel'"));
}

TEST_CASE("An option that is not supported is named with its value") {
  CHECK(ErrorOf(R"("normalizer": {"type": "Strip", "strip_letf": true})") ==
        "tokenizer.json: normalizer.strip_letf is true, which is not supported; did you mean 'strip_left'?");
  CHECK(ErrorOf("", R"({"type": "BPE", "vocab": {}, "merges": [], "dropout": 0.1})") ==
        "tokenizer.json: model.dropout is 0.1, which is not supported; expected null");
  CHECK(ErrorOf(R"("pre_tokenizer": {"type": "Punctuation", "behavior": "Kept"})") ==
        "tokenizer.json: pre_tokenizer.behavior is 'Kept', expected Removed, Isolated, MergedWithPrevious, "
        "MergedWithNext or Contiguous");
  CHECK_THAT(ErrorOf(R"("extra": 1)"),
             Catch::StartsWith("tokenizer.json: extra is 1, which is not supported"));
}

TEST_CASE("A value of the wrong kind is named with what was expected") {
  CHECK(ErrorOf(R"("normalizer": {"type": "Prepend", "prepend": 3})") ==
        "tokenizer.json: normalizer.prepend is 3, expected a string");
  CHECK(ErrorOf(R"("normalizer": 5)") == "tokenizer.json: normalizer is 5, expected an object");
  CHECK(ErrorOf(R"("decoder": {"type": "Metaspace", "replacement": "ab"})") ==
        "tokenizer.json: decoder.replacement is 'ab', expected one character");
  CHECK(
      ErrorOf(R"("pre_tokenizer": {"type": "Split", "pattern": {"Regex": "("}, "behavior": "Removed"})") ==
      "tokenizer.json: pre_tokenizer.pattern.Regex is '(', which is not a regular expression of ICU's syntax "
      "(U_REGEX_MISMATCHED_PAREN)");
  CHECK(ErrorOf(R"("normalizer": {"type": "Precompiled", "precompiled_charsmap": "AAAA"})") ==
        "tokenizer.json: normalizer.precompiled_charsmap is a map of 3 bytes with a trie of 0, expected a "
        "part of it "
        "in units of 4");
}

TEST_CASE("Vocabularies that contradict themselves are refused") {
  CHECK(ErrorOf("", R"({"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": ["a b"]})") ==
        "tokenizer.json: model is not valid: merge 0 needs the token 'ab', which is not in the vocabulary");
  CHECK(ErrorOf("", R"({"type": "BPE", "vocab": {"a": 0, "b": 0}, "merges": []})") ==
        "tokenizer.json: model.vocab 'b' and 'a' have the same id 0");
  CHECK(ErrorOf("", R"({"type": "BPE", "vocab": {"a": 4294967295}, "merges": []})") ==
        "tokenizer.json: model.vocab has 'a' with the id 4294967295, expected an integer below 16777216");
  CHECK(ErrorOf("", R"({"type": "WordPiece", "vocab": {"a": 0}})") ==
        "tokenizer.json: model is not valid: unk_token is '[UNK]', which is not in the vocabulary");
  CHECK(ErrorOf("", R"({"type": "Unigram", "vocab": [["a", -1]], "unk_id": 1})") ==
        "tokenizer.json: model is not valid: unk_id is 1, expected less than the number of pieces, 1");
  CHECK(ErrorOf(R"("added_tokens": [{"id": 7, "content": "X"}])") ==
        "tokenizer.json: added token 'X' has the id 7, but `tokenizers` would give it 3");
}

TEST_CASE("A file that could make texts huge is refused") {
  const std::string step =
      R"({"type": "Replace", "pattern": {"String": "a"}, "content": ")" + std::string(100, 'a') + "\"}";
  CHECK_THAT(ErrorOf(absl::StrCat(R"("normalizer": {"type": "Sequence", "normalizers": [)", step, ",", step,
                                  ",", step, "]}")),
             Catch::Contains("normalizer could make a text 1e+06 times as long"));
  std::string nested = R"({"type": "NFC"})";
  for (int i = 0; i < 20; ++i)
    nested = absl::StrCat(R"({"type": "Sequence", "normalizers": [)", nested, "]}");
  CHECK_THAT(ErrorOf(absl::StrCat("\"normalizer\": ", nested)), Catch::Contains("nested"));
}

TEST_CASE("Bytes that are not a file are an error") {
  for (const char* bytes : {"", "{", "[]", "null", "{}", "\xFF", "{\"model\": null}"}) {
    INFO(bytes);
    CHECK(LoadTokenizerJson(bytes).status().code() == absl::StatusCode::kInvalidArgument);
    CHECK(LoadBytePairVocabulary(bytes, "", BytePairStyle::kRoberta).status().code() ==
          absl::StatusCode::kInvalidArgument);
    CHECK(LoadBertVocabulary(bytes, {}).status().code() == absl::StatusCode::kInvalidArgument);
    CHECK(LoadSentencePieceModel(bytes).status().code() == absl::StatusCode::kInvalidArgument);
  }
}

TEST_CASE("A vocab.txt is read as BertTokenizer reads it") {
  constexpr char kVocabulary[] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\ncafe\ncaf\u00e9\n##s\nHi\nhi\n";
  const auto uncased = Ok(LoadBertVocabulary(kVocabulary, {}));
  CHECK(uncased->Encode("Caf\u00e9s [MASK] HI").ids == Ids{2, 5, 7, 4, 9, 3});
  BertVocabularyOptions options;
  options.do_lower_case = false;
  const auto cased = Ok(LoadBertVocabulary(kVocabulary, options));
  CHECK(cased->Encode("caf\u00e9s Hi").ids == Ids{2, 6, 7, 8, 3});
  CHECK(cased->EncodePair("Hi", "hi").type_ids == Ids{0, 0, 0, 1, 1});
  CHECK(cased->Decode(Ids{2, 6, 7, 8, 3}) == "caf\u00e9s Hi");
  CHECK(LoadBertVocabulary("[UNK]\n[CLS]\n", {}).status().message() == "vocab.txt: has no token '[SEP]'");
}

TEST_CASE("A vocab.json with merges.txt is read as GPT-2's and RoBERTa's are") {
  constexpr char kVocabulary[] =
      R"({"<s>": 0, "</s>": 1, "<mask>": 2, "a": 3, "b": 4, "\u0120": 5, "\u0120a": 6})";
  constexpr char kMerges[] = "#version: 0.2\n\u0120 a\n";
  const auto gpt2 = Ok(LoadBytePairVocabulary(kVocabulary, kMerges, BytePairStyle::kGpt2));
  CHECK(gpt2->Encode("a a").ids == Ids{3, 6});
  CHECK(gpt2->Encode("a a").offsets.back() == TextSpan{1, 3});
  const auto roberta = Ok(LoadBytePairVocabulary(kVocabulary, kMerges, BytePairStyle::kRoberta));
  CHECK(roberta->EncodePair("a a <mask>", "b").ids == Ids{0, 3, 6, 2, 1, 1, 4, 1});
  CHECK(roberta->Encode("a a").offsets[2] == TextSpan{2, 3});
  CHECK(LoadBytePairVocabulary(kVocabulary, "a\n", BytePairStyle::kGpt2).status().message() ==
        "merges.txt: line 1 is 'a', expected two tokens separated by a space");
}

// A unigram model with user-defined, control and byte pieces.
SentencePieceModel SmallModel() {
  SentencePieceModel model;
  const auto add = [&](const char* piece, float score, SentencePieceModel_Piece_Type type) {
    auto* added = model.add_pieces();
    added->set_piece(piece);
    added->set_score(score);
    added->set_type(type);
  };
  add("<unk>", 0, SentencePieceModel_Piece_Type_UNKNOWN);
  add("</s>", 0, SentencePieceModel_Piece_Type_CONTROL);
  add("<sep>", 0, SentencePieceModel_Piece_Type_USER_DEFINED);
  add("\u2581", -1, SentencePieceModel_Piece_Type_NORMAL);
  add("\u2581a", -2, SentencePieceModel_Piece_Type_NORMAL);
  add("a", -3, SentencePieceModel_Piece_Type_NORMAL);
  add("aa", -4, SentencePieceModel_Piece_Type_UNUSED);
  return model;
}

TEST_CASE("A SentencePiece model is used as SentencePiece uses it") {
  const auto tokenizer = Ok(LoadSentencePieceModel(SmallModel().SerializeAsString()));
  CHECK(tokenizer->Encode("  a   aa ").ids == Ids{4, 4, 5});
  CHECK(tokenizer->Encode("a<sep>a").ids == Ids{4, 2, 5});
  // Control pieces are not read in a text, and unknown characters in a row are one piece.
  CHECK(tokenizer->Encode("a</s>xy").ids == Ids{4, 0});
  CHECK(tokenizer->Decode(Ids{4, 1, 4, 0, 5}) == "a a \u2047 a");
  CHECK(tokenizer->Encode("   ").ids.empty());
}

// LoadSentencePieceModel's status for a model without a map of characters, with this name of a normal form.
absl::Status LoadWithNormalizer(absl::string_view name) {
  SentencePieceModel model = SmallModel();
  model.mutable_normalizer_spec()->set_name(std::string(name));
  return LoadSentencePieceModel(model.SerializeAsString()).status();
}

TEST_CASE("A vocabulary that Shoal made is refused, with the loader that reads it") {
  for (const LetterCase letter_case : {LetterCase::kKept, LetterCase::kLower}) {
    const absl::Status status = LoadWithNormalizer(NormalizerName(letter_case));
    CHECK(status.code() == absl::StatusCode::kInvalidArgument);
    CHECK(status.message() ==
          absl::StrCat("SentencePiece model: normalizer_spec.name is '", NormalizerName(letter_case),
                       "', so this is a vocabulary that Shoal made; load it with model::LoadTokenizer"));
  }
}

TEST_CASE("Without a map of characters a SentencePiece model does not normalize, or is refused") {
  CHECK(LoadWithNormalizer("").ok());
  CHECK(LoadWithNormalizer("identity").ok());
  const absl::Status status = LoadWithNormalizer("nmt_nfkc");
  CHECK(status.code() == absl::StatusCode::kInvalidArgument);
  CHECK(status.message() ==
        "SentencePiece model: normalizer_spec.name is 'nmt_nfkc' without a precompiled_charsmap, expected "
        "one, or the name 'identity'");
}

TEST_CASE("SentencePiece models of other types are refused") {
  SentencePieceModel model = SmallModel();
  model.mutable_trainer_spec()->set_model_type(SentencePieceTrainerSpec::BPE);
  CHECK(LoadSentencePieceModel(model.SerializeAsString()).status().message() ==
        "SentencePiece model: trainer_spec.model_type is BPE, expected UNIGRAM; use the tokenizer.json of "
        "this model");
  model = SmallModel();
  model.mutable_normalizer_spec()->set_precompiled_charsmap("abc");
  CHECK_THAT(
      std::string(LoadSentencePieceModel(model.SerializeAsString()).status().message()),
      Catch::StartsWith("SentencePiece model: normalizer_spec.precompiled_charsmap: is a map of 3 bytes"));
}

}  // namespace
}  // namespace shoal::model
