#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "model/tokenizer/pipeline/aligned_text.h"
#include "model/tokenizer/pipeline/decoder.h"
#include "model/tokenizer/pipeline/metaspace.h"
#include "model/tokenizer/pipeline/pattern.h"

namespace shoal::model::pipeline {
namespace {

using DecoderOr = absl::StatusOr<std::unique_ptr<Decoder>>;

// In this order, each on the result of the one before.
constexpr std::pair<absl::string_view, absl::string_view> kCleanups[] = {
    {" .", "."},   {" ?", "?"},           {" !", "!"},   {" ,", ","},     {" ' ", "'"},   {" n't", "n't"},
    {" 'm", "'m"}, {" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};

class WordPieceDecoder : public Decoder {
 public:
  WordPieceDecoder(std::string prefix, bool cleanup) : prefix_(std::move(prefix)), cleanup_(cleanup) {}

  void Apply(std::vector<std::string>* tokens) const override {
    for (size_t i = 0; i < tokens->size(); ++i) {
      std::string& token = (*tokens)[i];
      if (i > 0 && absl::StartsWith(token, prefix_)) {
        token.erase(0, prefix_.size());
      } else if (i > 0) {
        token.insert(0, " ");
      }
      if (cleanup_) CleanUp(&token);
    }
  }

 private:
  static void CleanUp(std::string* token) {
    for (const auto& [from, to] : kCleanups) absl::StrReplaceAll({{from, to}}, token);
  }

  std::string prefix_;
  bool cleanup_;
};

class MetaspaceDecoder : public Decoder {
 public:
  explicit MetaspaceDecoder(MetaspaceOptions options) : options_(std::move(options)) {}

  void Apply(std::vector<std::string>* tokens) const override {
    const bool prefixed = options_.prepend != MetaspaceOptions::Prepend::kNever;
    for (size_t i = 0; i < tokens->size(); ++i) {
      absl::StrReplaceAll({{options_.replacement, i == 0 && prefixed ? "" : " "}}, &(*tokens)[i]);
    }
  }

 private:
  MetaspaceOptions options_;
};

// Ends of words become spaces, except the last.
class BpeDecoder : public Decoder {
 public:
  explicit BpeDecoder(std::string suffix) : suffix_(std::move(suffix)) {}

  void Apply(std::vector<std::string>* tokens) const override {
    if (suffix_.empty()) return;
    for (size_t i = 0; i < tokens->size(); ++i) {
      absl::StrReplaceAll({{suffix_, i + 1 == tokens->size() ? "" : " "}}, &(*tokens)[i]);
    }
  }

 private:
  std::string suffix_;
};

class FuseDecoder : public Decoder {
 public:
  void Apply(std::vector<std::string>* tokens) const override { *tokens = {absl::StrJoin(*tokens, "")}; }
};

// Removes at most `start` and `stop` of a character from the beginning and the end of each token.
class StripDecoder : public Decoder {
 public:
  StripDecoder(std::string content, uint32_t start, uint32_t stop)
      : content_(std::move(content)), start_(start), stop_(stop) {}

  void Apply(std::vector<std::string>* tokens) const override {
    for (std::string& token : *tokens) {
      absl::string_view rest = token;
      for (uint32_t i = 0; i < start_ && absl::ConsumePrefix(&rest, content_); ++i) {
      }
      for (uint32_t i = 0; i < stop_ && absl::ConsumeSuffix(&rest, content_); ++i) {
      }
      token = std::string(rest);
    }
  }

 private:
  std::string content_;
  uint32_t start_, stop_;
};

class ReplaceDecoder : public Decoder {
 public:
  ReplaceDecoder(std::unique_ptr<Pattern> pattern, std::string content)
      : pattern_(std::move(pattern)), content_(std::move(content)) {}

  void Apply(std::vector<std::string>* tokens) const override {
    for (std::string& token : *tokens) token = Replaced(token);
  }
  double MaxGrowth() const override {
    return (1 + static_cast<double>(content_.size())) * (pattern_->MinBytes() == 0 ? 2 : 1);
  }

 private:
  std::string Replaced(const std::string& token) const {
    std::vector<ByteRange> matches;
    pattern_->FindMatches(token, &matches);
    std::string result;
    size_t at = 0;
    for (const ByteRange& match : matches) {
      result.append(token, at, match.begin - at);
      result += content_;
      at = match.end;
    }
    return result + token.substr(at);
  }

  std::unique_ptr<Pattern> pattern_;
  std::string content_;
};

class SequenceDecoder : public Decoder {
 public:
  explicit SequenceDecoder(std::vector<std::unique_ptr<Decoder>> steps) : steps_(std::move(steps)) {}

  void Apply(std::vector<std::string>* tokens) const override {
    for (const auto& step : steps_) step->Apply(tokens);
  }
  double MaxGrowth() const override {
    double growth = 1;
    for (const auto& step : steps_) growth *= step->MaxGrowth();
    return growth;
  }

 private:
  std::vector<std::unique_ptr<Decoder>> steps_;
};

DecoderOr ParseWordPieceDecoder(JsonObject* fields) {
  const std::string prefix = fields->String("prefix", "##");
  return MakeWordPieceDecoder(prefix, fields->Bool("cleanup", true));
}

DecoderOr ParseMetaspaceDecoder(JsonObject* fields) {
  MetaspaceOptions options = ParseMetaspaceOptions(fields);
  if (options.replacement.empty()) return fields->Finish();
  return std::make_unique<MetaspaceDecoder>(std::move(options));
}

DecoderOr ParseBpeDecoder(JsonObject* fields) {
  return std::make_unique<BpeDecoder>(fields->String("suffix", "</w>"));
}

DecoderOr ParseFuse(JsonObject*) { return std::make_unique<FuseDecoder>(); }

DecoderOr ParseByteFallback(JsonObject*) { return MakeByteFallbackDecoder(); }

DecoderOr ParseByteLevelDecoder(JsonObject* fields) {
  for (const char* name : {"add_prefix_space", "trim_offsets", "use_regex"}) fields->Ignore(name);
  return MakeByteLevelDecoder();
}

DecoderOr ParseStrip(JsonObject* fields) {
  const std::string content = fields->RequiredString("content");
  if (CountCharacters(content) != 1) fields->Reject("content", "expected one character");
  const uint32_t start = fields->Integer("start", 0);
  return std::make_unique<StripDecoder>(content, start, fields->Integer("stop", 0));
}

DecoderOr ParseReplace(JsonObject* fields) {
  SHOAL_ASSIGN_OR_RETURN(auto pattern, ParsePattern(fields));
  if (!fields->Has("content")) fields->Reject("content", "expected a string");
  return std::make_unique<ReplaceDecoder>(std::move(pattern), fields->String("content"));
}

DecoderOr ParseSequence(JsonObject* fields) {
  std::vector<std::unique_ptr<Decoder>> steps;
  for (const JsonPlace& place : fields->Array("decoders")) {
    SHOAL_ASSIGN_OR_RETURN(auto step, ParseDecoder(place));
    steps.push_back(std::move(step));
  }
  return std::make_unique<SequenceDecoder>(std::move(steps));
}

constexpr ComponentKind<Decoder> kKinds[] = {
    {"BPEDecoder", ParseBpeDecoder},      {"ByteFallback", ParseByteFallback},
    {"ByteLevel", ParseByteLevelDecoder}, {"Fuse", ParseFuse},
    {"Metaspace", ParseMetaspaceDecoder}, {"Replace", ParseReplace},
    {"Sequence", ParseSequence},          {"Strip", ParseStrip},
    {"WordPiece", ParseWordPieceDecoder},
};

}  // namespace

DecoderOr ParseDecoder(const JsonPlace& place) { return ParseComponent<Decoder>(place, kKinds); }

std::unique_ptr<Decoder> MakeWordPieceDecoder(std::string prefix, bool cleanup) {
  return std::make_unique<WordPieceDecoder>(std::move(prefix), cleanup);
}

}  // namespace shoal::model::pipeline
