// The vocabularies in $SHOAL_SHARED/tokenizers against their cases, on every line. Skipped where the folder
// is missing.
#include <string>

#include "catch2/catch.hpp"
#include "common/storage/shared_folder.h"
#include "model/tokenizer/pipeline/test_cases.h"

namespace shoal::model {
namespace {

constexpr const char* kKinds[] = {"bpe_llama2",      "bytelevel_gpt2",    "bytelevel_llama3",
                                  "bytelevel_qwen2", "bytelevel_roberta", "unigram_t5",
                                  "wordpiece_cased", "wordpiece_uncased"};

TEST_CASE("Every shared tokenizer.json gives the ids, offsets and texts of its cases") {
  const std::string shared = SharedFolder("tokenizers", "the cases of tokenizer.json files");
  if (shared.empty()) return;
  for (const char* kind : kKinds) {
    INFO(kind);
    const std::string folder = JoinPath(shared, kind);
    const auto tokenizer =
        Ok(LoadTokenizerJson(Ok(PosixEnv()->ReadFile(JoinPath(folder, "tokenizer.json")))));
    const auto cases = ReadJsonLines(JoinPath(folder, "cases.jsonl"));
    CHECK(cases.size() == 311);
    for (const TestJson& test : cases) CheckCase(*tokenizer, test);
  }
}

TEST_CASE("The shared spiece.model gives what SentencePiece gives") {
  const std::string shared = SharedFolder("tokenizers", "the cases of spiece.model");
  if (shared.empty()) return;
  const std::string folder = JoinPath(shared, "unigram_t5");
  const auto tokenizer =
      Ok(LoadSentencePieceModel(Ok(PosixEnv()->ReadFile(JoinPath(folder, "spiece.model")))));
  for (const TestJson& test : ReadJsonLines(JoinPath(folder, "spiece_cases.jsonl")))
    CheckCase(*tokenizer, test);
}

TEST_CASE("GPT-2's own files give its ids and its text back") {
  const std::string shared = SharedFolder("tokenizers", "GPT-2's own files");
  if (shared.empty()) return;
  const std::string folder = JoinPath(shared, "gpt2");
  const auto tokenizer = Ok(LoadBytePairVocabulary(Ok(PosixEnv()->ReadFile(JoinPath(folder, "vocab.json"))),
                                                   Ok(PosixEnv()->ReadFile(JoinPath(folder, "merges.txt"))),
                                                   BytePairStyle::kGpt2));
  CHECK(tokenizer->vocab_size() == 50257);
  CHECK(tokenizer->Encode("Hello world<|endoftext|>").ids == std::vector<uint32_t>{15496, 995, 50256});
  for (const TestJson& test : ReadJsonLines(JoinPath(shared, "bytelevel_gpt2/cases.jsonl"))) {
    const std::string text = test["text"];
    CHECK(tokenizer->Decode(tokenizer->Encode(text).ids, /*skip_special_tokens=*/false) == text);
  }
}

}  // namespace
}  // namespace shoal::model
