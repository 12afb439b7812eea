// `shoal tokenize`: what a tokenizer makes of texts.
#include <cstdio>
#include <iostream>
#include <memory>
#include <string>

#include "absl/strings/str_format.h"
#include "common/base/plain_text.h"
#include "common/base/status.h"
#include "common/storage/file.h"
#include "model/tokenizer/pretrained_tokenizer.h"
#include "nlohmann/json.hpp"
#include "tools/shoal/commands.h"

namespace shoal::tools {
namespace {

using Json = nlohmann::ordered_json;

struct TokenizeFlags {
  std::string tokenizer;
  bool json = false;
};

// {"text": "...", "pair": "...", "special": true}, of which only "text" is required. Any other line is a
// text.
bool IsJsonInput(const Json& input) {
  return input.is_object() && input.contains("text") && input["text"].is_string() &&
         (!input.contains("pair") || input["pair"].is_string()) &&
         (!input.contains("special") || input["special"].is_boolean());
}

Encoding Encode(const model::PipelineTokenizer& tokenizer, const std::string& line) {
  const Json input = Json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!IsJsonInput(input)) return tokenizer.Encode(line);
  const bool special = input.value("special", true);
  const auto text = input["text"].get<std::string>();
  return input.contains("pair") ? tokenizer.EncodePair(text, input["pair"].get<std::string>(), special)
                                : tokenizer.Encode(text, special);
}

void Print(const model::PipelineTokenizer& tokenizer, const Encoding& encoding, bool as_json) {
  if (as_json) {
    Json offsets = Json::array();
    for (const TextSpan& span : encoding.offsets) offsets.push_back({span.begin, span.end});
    const Json json = {{"ids", encoding.ids},
                       {"type_ids", encoding.type_ids},
                       {"offsets", offsets},
                       {"decoded", tokenizer.Decode(encoding.ids)}};
    absl::FPrintF(stdout, "%s\n", json.dump(-1, ' ', false, Json::error_handler_t::replace));
    return;
  }
  const char* separator = "";
  for (uint32_t id : encoding.ids) {
    const std::string* const piece = tokenizer.TokenOf(id);
    absl::FPrintF(stdout, "%s%s", separator, piece == nullptr ? "?" : PlainLine(*piece));
    separator = " ";
  }
  absl::FPrintF(stdout, "\n");
}

absl::Status Tokenize(const TokenizeFlags& flags) {
  SHOAL_ASSIGN_OR_RETURN(const auto tokenizer, model::ReadPipeline(PosixEnv(), flags.tokenizer));
  // Output that can't be written is reported by main.
  for (std::string line; std::ferror(stdout) == 0 && std::getline(std::cin, line);)
    Print(*tokenizer, Encode(*tokenizer, line), flags.json);
  return absl::OkStatus();
}

}  // namespace

void AddTokenize(CLI::App* app, CommandResult* result) {
  const auto flags = std::make_shared<TokenizeFlags>();
  CLI::App* const command =
      app->add_subcommand("tokenize", "Show what a tokenizer makes of the lines of standard input");
  command->add_option("tokenizer", flags->tokenizer, "Folder, or file, of a tokenizer")
      ->required()
      ->type_name("FOLDER");
  command->add_flag("--json", flags->json,
                    "Print a JSON line for each: ids, type_ids, offsets (in characters), decoded");
  command->footer(
      "A line is a text, or a JSON object with \"text\", and perhaps \"pair\".\n"
      "Example:\n  echo 'a text' | shoal tokenize out/models/minilm");
  command->callback([flags, result] { result->Set(Tokenize(*flags)); });
}

}  // namespace shoal::tools
