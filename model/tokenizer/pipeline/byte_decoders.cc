#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "common/base/utf8.h"
#include "model/tokenizer/byte_alphabet.h"
#include "model/tokenizer/characters.h"
#include "model/tokenizer/pipeline/decoder.h"

namespace shoal::model::pipeline {
namespace {

class ByteLevelDecoder : public Decoder {
 public:
  void Apply(std::vector<std::string>* tokens) const override {
    std::string bytes;
    for (const std::string& token : *tokens) AppendBytes(token, &bytes);
    *tokens = {ReplaceInvalidUtf8(bytes)};
  }
  double MaxGrowth() const override { return 3; }

 private:
  // A token with other characters stands for itself.
  static void AppendBytes(const std::string& token, std::string* bytes) {
    const size_t size_before = bytes->size();
    for (size_t at = 0; at < token.size();) {
      const Character c = CharacterAt(token, at);
      const auto byte = ByteOfCharacter(c.code);
      if (!byte.has_value()) {
        bytes->resize(size_before);
        bytes->append(token);
        return;
      }
      bytes->push_back(static_cast<char>(*byte));
      at += c.bytes;
    }
  }
};

class ByteFallbackDecoder : public Decoder {
 public:
  void Apply(std::vector<std::string>* tokens) const override {
    std::vector<std::string> result;
    std::string bytes;
    for (std::string& token : *tokens) {
      if (const auto byte = ByteOf(token)) {
        bytes.push_back(*byte);
        continue;
      }
      Flush(&bytes, &result);
      result.push_back(std::move(token));
    }
    Flush(&bytes, &result);
    *tokens = std::move(result);
  }

 private:
  // The byte of a token <0xNN>.
  static std::optional<char> ByteOf(absl::string_view token) {
    uint32_t byte = 0;
    if (token.size() != 6 || !absl::StartsWith(token, "<0x") || token[5] != '>') return std::nullopt;
    const absl::string_view digits = token.substr(3, 2);
    const auto is_digit = [](char c) { return absl::ascii_isxdigit(static_cast<unsigned char>(c)); };
    if (!is_digit(digits[0]) || !is_digit(digits[1]) || !absl::SimpleHexAtoi(digits, &byte))
      return std::nullopt;
    return static_cast<char>(byte);
  }

  static void Flush(std::string* bytes, std::vector<std::string>* result) {
    if (bytes->empty()) return;
    if (IsValidUtf8(*bytes)) {
      result->push_back(*bytes);
    } else {
      result->insert(result->end(), bytes->size(), "\uFFFD");
    }
    bytes->clear();
  }
};

}  // namespace

std::unique_ptr<Decoder> MakeByteLevelDecoder() { return std::make_unique<ByteLevelDecoder>(); }

std::unique_ptr<Decoder> MakeByteFallbackDecoder() { return std::make_unique<ByteFallbackDecoder>(); }

}  // namespace shoal::model::pipeline
