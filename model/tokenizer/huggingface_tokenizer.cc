#include "model/tokenizer/huggingface_tokenizer.h"

#include <algorithm>
#include <initializer_list>
#include <string>

#include "model/tokenizer/sentencepiece_constants.h"
#include "model/tokenizer/tokenizer.h"
#include "nlohmann/json.hpp"

namespace shoal::model {
namespace {

using Json = nlohmann::ordered_json;

// `tokenizers` keeps special pieces in the same trie as the others. A score this low keeps a text that spells
// one from being read as one.
constexpr double kSpecialScore = -10000;

// The character classes of NormalizeText, as Oniguruma regular expressions.
constexpr char kSpaces[] = R"([\x{0009}-\x{000D}\x{0085}\x{1680}\x{2028}\x{2029}\x{2581}])";
constexpr char kDropped[] =
    R"([\x{0000}-\x{0008}\x{000E}-\x{001F}\x{007F}-\x{0084}\x{0086}-\x{009F}\x{00AD}\x{200B}\x{2060}\x{FEFF}])";

Json Replace(const char* regex, const char* content) {
  return {{"type", "Replace"}, {"pattern", {{"Regex", regex}}}, {"content", content}};
}

Json Normalizer(LetterCase letter_case) {
  Json steps = {{{"type", "NFKC"}}};
  if (letter_case == LetterCase::kLower) steps.push_back({{"type", "Lowercase"}});
  for (const Json& step : {Replace(kSpaces, " "), Replace(kDropped, ""), Replace(" {2,}", " ")})
    steps.push_back(step);
  steps.push_back({{"type", "Strip"}, {"strip_left", true}, {"strip_right", true}});
  return {{"type", "Sequence"}, {"normalizers", steps}};
}

Json Metaspace() {
  return {{"type", "Metaspace"}, {"replacement", kSpacePiece}, {"prepend_scheme", "always"}, {"split", true}};
}

class Writer {
 public:
  explicit Writer(const UnigramTokenizer& tokenizer) : tokenizer_(tokenizer) {}

  Json TokenizerJson() const {
    return {{"version", "1.0"},
            {"truncation", nullptr},
            {"padding", nullptr},
            {"added_tokens", AddedTokens()},
            {"normalizer", Normalizer(tokenizer_.letter_case())},
            {"pre_tokenizer", Metaspace()},
            {"post_processor", PostProcessor()},
            {"decoder", Metaspace()},
            {"model", Model()}};
  }

  Json SpecialTokensMap() const {
    const SpecialTokens& special = tokenizer_.special();
    Json map = {{"unk_token", Text(special.unk)},
                {"sep_token", Text(special.sep)},
                {"pad_token", Text(special.pad)},
                {"cls_token", Text(special.cls)}};
    if (special.mask != special.unk) map["mask_token"] = Text(special.mask);
    return map;
  }

  Json Config(uint32_t max_length) const {
    Json config = {{"tokenizer_class", "PreTrainedTokenizerFast"},
                   {"model_max_length", max_length},
                   {"model_input_names", {"input_ids", "token_type_ids", "attention_mask"}},
                   {"clean_up_tokenization_spaces", false},
                   // A special piece spelled out in a text is read as letters.
                   {"split_special_tokens", true}};
    config.update(SpecialTokensMap());
    return config;
  }

 private:
  const std::string& Text(uint32_t id) const { return tokenizer_.pieces()[id].text; }

  Json AddedTokens() const {
    Json tokens = Json::array();
    for (uint32_t id = 0; id < tokenizer_.vocab_size(); ++id) {
      if (tokenizer_.pieces()[id].is_segment) continue;
      tokens.push_back({{"id", id},
                        {"content", Text(id)},
                        {"single_word", false},
                        {"lstrip", false},
                        {"rstrip", false},
                        {"normalized", false},
                        {"special", true}});
    }
    return tokens;
  }

  Json Special(uint32_t id, int type) const {
    return {{"SpecialToken", {{"id", Text(id)}, {"type_id", type}}}};
  }

  static Json Sequence(const char* name, int type) {
    return {{"Sequence", {{"id", name}, {"type_id", type}}}};
  }

  Json PostProcessor() const {
    const SpecialTokens& special = tokenizer_.special();
    Json tokens = Json::object();
    for (uint32_t id : {special.cls, special.sep}) {
      tokens[Text(id)] = {{"id", Text(id)}, {"ids", {id}}, {"tokens", {Text(id)}}};
    }
    const Json cls = Special(special.cls, 0), sep = Special(special.sep, 0);
    return {{"type", "TemplateProcessing"},
            {"single", {cls, Sequence("A", 0), sep}},
            {"pair", {cls, Sequence("A", 0), sep, Sequence("B", 1), Special(special.sep, 1)}},
            {"special_tokens", tokens}};
  }

  Json Model() const {
    Json vocab = Json::array();
    for (const auto& piece : tokenizer_.pieces()) {
      const double score = piece.is_segment ? piece.score : kSpecialScore;
      vocab.push_back(Json::array({piece.text, score}));
    }
    return {{"type", "Unigram"},
            {"unk_id", tokenizer_.special().unk},
            {"vocab", vocab},
            {"byte_fallback", false}};
  }

  const UnigramTokenizer& tokenizer_;
};

}  // namespace

std::vector<NamedFile> HuggingFaceTokenizerFiles(const UnigramTokenizer& tokenizer, uint32_t max_length) {
  const Writer writer(tokenizer);
  return {{"tokenizer.json", writer.TokenizerJson().dump(1) + "\n"},
          {"tokenizer_config.json", writer.Config(max_length).dump(2) + "\n"},
          {"special_tokens_map.json", writer.SpecialTokensMap().dump(2) + "\n"},
          {"sentencepiece.model", tokenizer.bytes()}};
}

}  // namespace shoal::model
