// Encodes lines of JSON with a tokenizer's files, for comparison with other libraries.
//
//   encode json tokenizer.json
//   encode bert vocab.txt
//   encode gpt2 vocab.json merges.txt
//   encode roberta vocab.json merges.txt
//   encode sentencepiece spiece.model
//
// Reads a line of JSON per text, {"text": "...", "pair": "...", "special": true}, of which all but "text" may
// be missing. Any other line is an error with its number. Writes a line per text:
//
//   {"ids": [...], "type_ids": [...], "offsets": [[begin, end], ...], "sources": [...], "decoded": "..."}
//
//   encode ... --time ROUNDS FILE
//
// Times Encode of each line of FILE: prints a line of JSON per round with the tokens and the CPU seconds.
#include <cstdio>
#include <ctime>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/command_line.h"
#include "common/base/status.h"
#include "common/storage/file.h"
#include "model/tokenizer/pipeline/pipeline_files.h"
#include "nlohmann/json.hpp"

namespace shoal::model {
namespace {

using Json = nlohmann::json;
using TokenizerOr = absl::StatusOr<std::unique_ptr<PipelineTokenizer>>;
using Arguments = std::vector<std::string>;

constexpr char kUsage[] =
    "expected: json FILE | bert VOCAB_TXT | gpt2 VOCAB_JSON MERGES_TXT | roberta VOCAB_JSON MERGES_TXT | "
    "sentencepiece FILE, then nothing or --time ROUNDS FILE";

// Takes the first argument away.
absl::StatusOr<std::string> Take(Arguments* arguments) {
  if (arguments->empty()) return absl::InvalidArgumentError(kUsage);
  std::string first = arguments->front();
  arguments->erase(arguments->begin());
  return first;
}

absl::StatusOr<std::string> TakeFile(Arguments* arguments) {
  SHOAL_ASSIGN_OR_RETURN(const std::string path, Take(arguments));
  return PosixEnv()->ReadFile(path);
}

TokenizerOr TakeTokenizer(Arguments* arguments) {
  SHOAL_ASSIGN_OR_RETURN(const std::string kind, Take(arguments));
  SHOAL_ASSIGN_OR_RETURN(const std::string file, TakeFile(arguments));
  if (kind == "json") return LoadTokenizerJson(file);
  if (kind == "bert") return LoadBertVocabulary(file, {});
  if (kind == "sentencepiece") return LoadSentencePieceModel(file);
  if (kind != "gpt2" && kind != "roberta") return absl::InvalidArgumentError(kUsage);
  SHOAL_ASSIGN_OR_RETURN(const std::string merges, TakeFile(arguments));
  return LoadBytePairVocabulary(file, merges,
                                kind == "gpt2" ? BytePairStyle::kGpt2 : BytePairStyle::kRoberta);
}

Json ToJson(const PipelineTokenizer& tokenizer, const Encoding& encoding) {
  Json offsets = Json::array(), sources = Json::array();
  for (const TextSpan& span : encoding.offsets) offsets.push_back({span.begin, span.end});
  for (const TokenSource source : encoding.sources) sources.push_back(static_cast<int>(source));
  return {{"ids", encoding.ids},
          {"type_ids", encoding.type_ids},
          {"offsets", offsets},
          {"sources", sources},
          {"decoded", tokenizer.Decode(encoding.ids)}};
}

bool IsInput(const Json& input) {
  return input.is_object() && input.contains("text") && input["text"].is_string() &&
         (!input.contains("pair") || input["pair"].is_string()) &&
         (!input.contains("special") || input["special"].is_boolean());
}

absl::Status EncodeLines(const PipelineTokenizer& tokenizer) {
  size_t number = 0;
  for (std::string line; std::getline(std::cin, line);) {
    ++number;
    const Json input = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!IsInput(input)) return absl::InvalidArgumentError(absl::StrCat("line ", number, " is not an input"));
    const std::string text = input["text"];
    const bool special = input.value("special", true);
    const Encoding encoding = input.contains("pair")
                                  ? tokenizer.EncodePair(text, input["pair"].get<std::string>(), special)
                                  : tokenizer.Encode(text, special);
    std::cout << ToJson(tokenizer, encoding).dump() << '\n';
  }
  return absl::OkStatus();
}

double CpuSeconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

absl::Status TimeLines(const PipelineTokenizer& tokenizer, Arguments arguments) {
  int rounds = 0;
  SHOAL_ASSIGN_OR_RETURN(const std::string count, Take(&arguments));
  if (!absl::SimpleAtoi(count, &rounds)) return absl::InvalidArgumentError(kUsage);
  SHOAL_ASSIGN_OR_RETURN(const std::string text, TakeFile(&arguments));
  const std::vector<absl::string_view> lines = absl::StrSplit(text, '\n', absl::SkipEmpty());
  for (int round = 0; round < rounds; ++round) {
    const double begin = CpuSeconds();
    size_t tokens = 0;
    for (const absl::string_view line : lines) tokens += tokenizer.Encode(line).ids.size();
    std::cout << Json{{"tokens", tokens}, {"seconds", CpuSeconds() - begin}}.dump() << std::endl;
  }
  return absl::OkStatus();
}

absl::Status Run(Arguments arguments) {
  SHOAL_ASSIGN_OR_RETURN(const auto tokenizer, TakeTokenizer(&arguments));
  if (arguments.empty()) return EncodeLines(*tokenizer);
  SHOAL_ASSIGN_OR_RETURN(const std::string option, Take(&arguments));
  return option == "--time" ? TimeLines(*tokenizer, arguments) : absl::InvalidArgumentError(kUsage);
}

int Main(int argc, char** argv) {
  const absl::Status status = Run({argv + 1, argv + argc});
  if (!status.ok()) std::cerr << status.message() << '\n';
  return status.ok() ? 0 : 1;
}

}  // namespace
}  // namespace shoal::model

int main(int argc, char** argv) { return shoal::RunMain("encode", shoal::model::Main, argc, argv); }
