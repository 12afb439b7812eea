#include "model/tokenizer/unigram_tokenizer.h"

#include <algorithm>
#include <limits>
#include <map>
#include <string>

#include "absl/strings/match.h"
#include "catch2/catch.hpp"
#include "common/base/philox.h"
#include "model/tokenizer/sentencepiece.pb.h"
#include "model/tokenizer/test_corpus.h"
#include "model/tokenizer/unigram_trainer.h"
#include "nlohmann/json.hpp"

namespace shoal::model {
namespace {

std::string TrainedModel() {
  UnigramTrainerOptions options;
  options.vocab_size = 100;
  return TrainUnigram(Views(TestCorpus()), options).value();
}

// A model with the five special pieces and `pieces`, each with the given score.
SentencePieceModel HandMade(const std::vector<std::pair<std::string, float>>& pieces) {
  SentencePieceModel model;
  REQUIRE(model.ParseFromString(TrainedModel()));
  model.mutable_pieces()->DeleteSubrange(5, model.pieces_size() - 5);
  for (const auto& [text, score] : pieces) {
    auto* piece = model.add_pieces();
    piece->set_piece(text);
    piece->set_score(score);
  }
  return model;
}

std::unique_ptr<Tokenizer> Load(const SentencePieceModel& model) {
  return LoadTokenizer(model.SerializeAsString()).value();
}

constexpr size_t kNoLimit = 1000;
using Ids = std::vector<uint32_t>;

TEST_CASE("A word is cut into its most probable pieces") {
  const auto tokenizer =
      Load(HandMade({{"\u2581", -1}, {"a", -2}, {"b", -2}, {"ab", -3}, {"\u2581a", -3.5}}));
  // The three segmentations of "_ab" score -5, -4, -5.5: "_" "ab" wins.
  CHECK(tokenizer->Encode("ab", kNoLimit) == Ids{2, 5, 8, 3});
  CHECK(tokenizer->Encode("b a", kNoLimit) == Ids{2, 5, 7, 5, 6, 3});
  CHECK(tokenizer->Encode("", kNoLimit) == Ids{2, 3});
}

TEST_CASE("Unknown characters in a row are one token, in each word") {
  const auto tokenizer = Load(HandMade({{"\u2581", -1}, {"a", -2}}));
  CHECK(tokenizer->Encode("xyaz \u4F60\u597D", kNoLimit) == Ids{2, 5, 1, 6, 1, 5, 1, 3});
}

TEST_CASE("A text that spells a special piece is just letters") {
  const auto tokenizer = LoadTokenizer(TrainedModel()).value();
  const Ids ids = tokenizer->Encode("[CLS][SEP]", kNoLimit);
  CHECK(std::count(ids.begin(), ids.end(), 2) == 1);
  CHECK(std::count(ids.begin(), ids.end(), 3) == 1);
  CHECK(tokenizer->Decode(ids) == "[CLS][SEP]");
}

TEST_CASE("Long texts are cut with both ends kept") {
  const auto tokenizer = LoadTokenizer(TrainedModel()).value();
  const Ids all = tokenizer->Encode("a player for music", kNoLimit);
  const Ids cut = tokenizer->Encode("a player for music", 4);
  CHECK(cut == Ids{2, all[1], all[2], 3});
  CHECK(tokenizer->Encode("a player for music", 2) == Ids{2, 3});
}

TEST_CASE("A pair is two texts with a separator after each, the second one of type 1") {
  const auto tokenizer = Load(HandMade({{"\u2581", -1}, {"a", -2}, {"b", -2}}));
  const Encoding pair = tokenizer->EncodePair("a", "b b", kNoLimit);
  CHECK(pair.ids == Ids{2, 5, 6, 3, 5, 7, 5, 7, 3});
  CHECK(pair.type_ids == Ids{0, 0, 0, 0, 1, 1, 1, 1, 1});
  CHECK(tokenizer->EncodePair("a", "b b", 7).ids == Ids{2, 5, 6, 3, 5, 7, 3});
  CHECK(tokenizer->EncodePair("", "", 3).ids == Ids{2, 3, 3});
}

TEST_CASE("Tokens of a word have the places of its parts, unless its normal form is of another length") {
  const auto tokenizer =
      Load(HandMade({{"\u2581", -1}, {"a", -2}, {"b", -2}, {"ab", -3}, {"\u2581a", -2.5}}));
  const auto places = [&](const std::string& text, std::vector<TextSpan> words) {
    const Encoding encoding = tokenizer->EncodeWords(text, words);
    CHECK(encoding.size() == encoding.offsets.size());
    return std::vector<TextSpan>(encoding.offsets.begin() + 1, encoding.offsets.end() - 1);
  };
  // "_a" "xy" "b"; "_" and "b"
  CHECK(places("axyb b", {{0, 4}, {5, 6}}) == std::vector<TextSpan>{{0, 1}, {1, 3}, {3, 4}, {5, 6}, {5, 6}});
  // The ligature is two characters in its normal form.
  for (const TextSpan& place : places("a\uFB01b", {{0, 3}})) CHECK(place == TextSpan{0, 3});
  // The same ids as of the whole text, and as word by word.
  CHECK(tokenizer->EncodeWords("axyb b", {{0, 4}, {5, 6}}).ids == tokenizer->Encode("axyb b", kNoLimit));
}

TEST_CASE("Decoding gives back the normalised text") {
  const auto tokenizer = LoadTokenizer(TrainedModel()).value();
  for (const std::string& line : TestCorpus()) {
    CHECK(tokenizer->Decode(tokenizer->Encode("  " + line, kNoLimit)) == line);
  }
  CHECK(tokenizer->Decode({2, 99999, 0, 3}).empty());
}

TEST_CASE("A tokenizer made of its bytes is the same") {
  const auto tokenizer = LoadTokenizer(TrainedModel()).value();
  CHECK(LoadTokenizer(tokenizer->bytes()).value()->Encode("readable streams", kNoLimit) ==
        tokenizer->Encode("readable streams", kNoLimit));
}

TEST_CASE("Models that are not supported are refused by name") {
  const auto refused = [](const SentencePieceModel& model, const std::string& part) {
    const auto status = LoadTokenizer(model.SerializeAsString()).status();
    CHECK(status.code() == absl::StatusCode::kInvalidArgument);
    CHECK_THAT(std::string(status.message()), Catch::Contains(part));
  };
  const SentencePieceModel good = HandMade({{"a", -1}});
  SentencePieceModel bad = good;
  bad.mutable_trainer_spec()->set_model_type(SentencePieceTrainerSpec::BPE);
  refused(bad, "is BPE, expected UNIGRAM");
  bad = good;
  bad.mutable_normalizer_spec()->set_name("nmt_nfkc");
  refused(bad, "got 'nmt_nfkc'");
  bad = good;
  bad.mutable_trainer_spec()->set_bos_id(-1);
  refused(bad, "for bos, got id -1");
  bad = good;
  bad.mutable_trainer_spec()->set_eos_id(77);
  refused(bad, "for eos, got id 77");
  bad = good;
  bad.mutable_pieces(5)->set_piece("[PAD]");
  refused(bad, "'[PAD]' appears twice");
  bad = good;
  bad.mutable_pieces(5)->clear_piece();
  refused(bad, "piece 5 is empty");
  bad = good;
  bad.mutable_pieces(5)->set_score(std::numeric_limits<float>::infinity());
  refused(bad, "(id 5) is inf");
  bad = good;
  bad.mutable_pieces(5)->set_type(SentencePieceModel_Piece_Type_USER_DEFINED);
  refused(bad, "piece 5 'a' is user-defined");
}

TEST_CASE("Bytes that are not a model are refused, whatever they are") {
  CHECK_FALSE(LoadTokenizer("").ok());
  const std::string good = TrainedModel();
  PhiloxStream random(DeriveKey(7, "garbage"));
  for (int i = 0; i < 200; ++i) {
    std::string bytes = good;
    for (int k = 0; k < 8; ++k) bytes[random.UniformInt(bytes.size())] = static_cast<char>(random.Next32());
    bytes.resize(random.UniformInt(bytes.size()) + 1);
    const auto tokenizer = LoadTokenizer(bytes);
    if (tokenizer.ok()) (*tokenizer)->Encode("still no crash \xFF", 10);
  }
}

TEST_CASE("The exported folder names the pieces and special tokens") {
  const auto tokenizer = LoadTokenizer(TrainedModel()).value();
  std::map<std::string, std::string> files;
  for (const NamedFile& file : tokenizer->ExportFiles(64)) files[file.name] = file.bytes;
  REQUIRE(files.size() == 4);
  const auto json = nlohmann::json::parse(files["tokenizer.json"]);
  CHECK(json["model"]["vocab"].size() == 100);
  CHECK(json["model"]["vocab"][2][0] == "[CLS]");
  CHECK(json["added_tokens"].size() == 5);
  CHECK(json["post_processor"]["special_tokens"]["[SEP]"]["ids"] == nlohmann::json::array({3}));
  const auto config = nlohmann::json::parse(files["tokenizer_config.json"]);
  CHECK(config["model_max_length"] == 64);
  CHECK(config["cls_token"] == "[CLS]");
  CHECK(files["sentencepiece.model"] == tokenizer->bytes());
  CHECK_FALSE(absl::StrContains(files["tokenizer.json"], "Lowercase"));
}

TEST_CASE("A vocabulary in lower case says so in its export") {
  SentencePieceModel model = HandMade({{"\u2581", -1}, {"a", -2}});
  model.mutable_normalizer_spec()->set_name("shoal_nfkc_lower");
  const auto tokenizer = Load(model);
  CHECK(tokenizer->Encode("A", kNoLimit) == Ids{2, 5, 6, 3});
  for (const NamedFile& file : tokenizer->ExportFiles(64)) {
    if (file.name != "tokenizer.json") continue;
    const auto steps = nlohmann::json::parse(file.bytes)["normalizer"]["normalizers"];
    CHECK(steps[0]["type"] == "NFKC");
    CHECK(steps[1]["type"] == "Lowercase");
  }
}

}  // namespace
}  // namespace shoal::model
