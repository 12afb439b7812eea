#include "model/tokenizer/byte_tokenizer.h"

#include <algorithm>

#include "common/base/status.h"
#include "model/tokenizer/byte_alphabet.h"
#include "nlohmann/json.hpp"

namespace shoal::model {
namespace {

using Json = nlohmann::ordered_json;

constexpr uint32_t kEnd = 256;
constexpr char kEndText[] = "<|endoftext|>";

Json ByteLevel() {
  return {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", false}};
}

// Byte-level BPE without merges.
Json TokenizerJson() {
  Json vocabulary = Json::object();
  for (uint32_t byte = 0; byte < kEnd; ++byte) {
    vocabulary[std::string(ByteCharacter(static_cast<uint8_t>(byte)))] = byte;
  }
  vocabulary[kEndText] = kEnd;
  Json end = {{"id", kEnd},      {"content", kEndText}, {"single_word", false}, {"lstrip", false},
              {"rstrip", false}, {"normalized", false}, {"special", true}};
  return {{"version", "1.0"},
          {"truncation", nullptr},
          {"padding", nullptr},
          {"added_tokens", Json::array({std::move(end)})},
          {"normalizer", nullptr},
          {"pre_tokenizer", ByteLevel()},
          {"post_processor", nullptr},
          {"decoder", ByteLevel()},
          {"model", {{"type", "BPE"}, {"vocab", std::move(vocabulary)}, {"merges", Json::array()}}}};
}

class ByteTokenizer : public Tokenizer {
 public:
  std::vector<uint32_t> Encode(absl::string_view text, size_t max_tokens) const override {
    SHOAL_CHECK(max_tokens >= 2);
    std::vector<uint32_t> ids;
    ids.reserve(std::min(text.size(), max_tokens - 1) + 1);
    for (char byte : text.substr(0, max_tokens - 1)) ids.push_back(static_cast<unsigned char>(byte));
    ids.push_back(kEnd);
    return ids;
  }

  std::string Decode(absl::Span<const uint32_t> ids) const override {
    std::string text;
    for (uint32_t id : ids) {
      if (id < kEnd) text.push_back(static_cast<char>(id));
    }
    return text;
  }

  uint32_t vocab_size() const override { return kEnd + 1; }
  const SpecialTokens& special() const override { return special_; }
  const std::string& bytes() const override { return bytes_; }

  std::vector<NamedFile> ExportFiles(uint32_t max_length) const override {
    const Json config = {{"tokenizer_class", "PreTrainedTokenizerFast"},
                         {"model_max_length", max_length},
                         {"model_input_names", {"input_ids", "attention_mask"}},
                         {"clean_up_tokenization_spaces", false},
                         // A special piece spelled out in a text is read as letters.
                         {"split_special_tokens", true},
                         {"bos_token", kEndText},
                         {"eos_token", kEndText}};
    return {{"tokenizer.json", TokenizerJson().dump() + "\n"},
            {"tokenizer_config.json", config.dump(2) + "\n"}};
  }

 private:
  const std::string bytes_ = "shoal byte tokenizer 1\n";
  const SpecialTokens special_ = {kEnd, kEnd, kEnd, kEnd, kEnd};
};

}  // namespace

std::unique_ptr<Tokenizer> MakeByteTokenizer() { return std::make_unique<ByteTokenizer>(); }

}  // namespace shoal::model
