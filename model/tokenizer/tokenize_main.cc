// For looking at a vocabulary, and for comparisons with other libraries (README.md):
//   tokenize train VOCAB_SIZE [--lowercase] < LINES > MODEL
//   tokenize encode MODEL < LINES          ids of each line, separated by spaces
//   tokenize export MODEL FOLDER           the Hugging Face files
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status.h"
#include "model/tokenizer/tokenizer.h"
#include "model/tokenizer/unigram_trainer.h"

namespace shoal::model {
namespace {

constexpr size_t kNoLimit = 1 << 30;
constexpr uint32_t kExportLength = 512;

std::vector<std::string> ReadLines() {
  std::vector<std::string> lines;
  for (std::string line; std::getline(std::cin, line);) lines.push_back(line);
  return lines;
}

absl::Status Train(const std::string& vocab_size, LetterCase letter_case) {
  UnigramTrainerOptions options;
  options.letter_case = letter_case;
  if (!absl::SimpleAtoi(vocab_size, &options.vocab_size)) {
    return absl::InvalidArgumentError(absl::StrCat("VOCAB_SIZE: expected a number, got ", vocab_size));
  }
  const std::vector<std::string> lines = ReadLines();
  SHOAL_ASSIGN_OR_RETURN(const std::string model,
                         TrainUnigram(std::vector<absl::string_view>(lines.begin(), lines.end()), options));
  std::cout << model;
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Tokenizer>> Load(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::NotFoundError(absl::StrCat(path, ": cannot be read"));
  return LoadTokenizer(std::string(std::istreambuf_iterator<char>(file), {}));
}

absl::Status Encode(const std::string& path) {
  SHOAL_ASSIGN_OR_RETURN(const std::unique_ptr<Tokenizer> tokenizer, Load(path));
  for (const std::string& line : ReadLines()) {
    std::cout << absl::StrJoin(tokenizer->Encode(line, kNoLimit), " ") << "\n";
  }
  return absl::OkStatus();
}

absl::Status Export(const std::string& path, const std::string& folder) {
  SHOAL_ASSIGN_OR_RETURN(const std::unique_ptr<Tokenizer> tokenizer, Load(path));
  for (const NamedFile& file : tokenizer->ExportFiles(kExportLength)) {
    std::ofstream out(absl::StrCat(folder, "/", file.name), std::ios::binary);
    out << file.bytes;
    if (!out.flush()) return absl::UnknownError(absl::StrCat(folder, "/", file.name, ": cannot be written"));
  }
  return absl::OkStatus();
}

absl::Status Run(const std::vector<std::string>& arguments) {
  if (arguments.size() == 2 && arguments[0] == "train") return Train(arguments[1], LetterCase::kKept);
  if (arguments.size() == 3 && arguments[0] == "train" && arguments[2] == "--lowercase")
    return Train(arguments[1], LetterCase::kLower);
  if (arguments.size() == 2 && arguments[0] == "encode") return Encode(arguments[1]);
  if (arguments.size() == 3 && arguments[0] == "export") return Export(arguments[1], arguments[2]);
  return absl::InvalidArgumentError(
      "usage: tokenize train VOCAB_SIZE [--lowercase] | encode MODEL | export MODEL FOLDER");
}

}  // namespace
}  // namespace shoal::model

int main(int argc, char** argv) {
  const absl::Status status = shoal::model::Run({argv + 1, argv + argc});
  if (status.ok()) return EXIT_SUCCESS;
  std::cerr << "tokenize: " << status.message() << "\n";
  return EXIT_FAILURE;
}
