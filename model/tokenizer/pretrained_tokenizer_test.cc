#include "model/tokenizer/pretrained_tokenizer.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "catch2/catch.hpp"
#include "common/storage/file.h"
#include "common/storage/test_dir.h"
#include "model/tokenizer/test_corpus.h"
#include "model/tokenizer/unigram_trainer.h"

namespace shoal::model {
namespace {

using Catch::Matchers::Contains;
using Ids = std::vector<uint32_t>;

constexpr char kVocabulary[] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nan\nox\n##en\nOX\n";
constexpr char kConfig[] = R"({"do_lower_case": false, "model_max_length": 512})";

std::unique_ptr<Tokenizer> Made(std::vector<NamedFile> files) {
  auto made = MakePretrainedTokenizer(std::move(files));
  INFO(made.status());
  REQUIRE(made.ok());
  return *std::move(made);
}

TEST_CASE("A vocab.txt gives ids, with the special tokens around them, cut before the last one") {
  const auto tokenizer = Made({{"vocab.txt", kVocabulary}});
  CHECK(tokenizer->Encode("An oxen", 100) == Ids{2, 5, 6, 7, 3});
  CHECK(tokenizer->Encode("An oxen", 4) == Ids{2, 5, 6, 3});
  CHECK(tokenizer->Encode("An oxen", 2) == Ids{2, 3});
  CHECK(tokenizer->Encode("", 2) == Ids{2, 3});
  CHECK(tokenizer->Decode(Ids{2, 5, 6, 7, 3}) == "an oxen");
  CHECK(tokenizer->vocab_size() == 9);
  CHECK(tokenizer->special().pad == 0);
  CHECK(tokenizer->special().mask == 4);
}

TEST_CASE("tokenizer_config.json says how a vocab.txt is read") {
  const auto tokenizer = Made({{"vocab.txt", kVocabulary}, {"tokenizer_config.json", kConfig}});
  CHECK(tokenizer->Encode("OX", 100) == Ids{2, 8, 3});
}

TEST_CASE("Special tokens have the names that the files give them") {
  const auto tokenizer =
      Made({{"vocab.txt", kVocabulary}, {"special_tokens_map.json", R"({"pad_token": {"content": "ox"}})"}});
  CHECK(tokenizer->special().pad == 6);
}

TEST_CASE("Tokens are told with their places in the text") {
  const auto tokenizer = Made({{"vocab.txt", kVocabulary}});
  const Encoding encoding = tokenizer->EncodeWithOffsets("an oxen");
  CHECK(encoding.ids == Ids{2, 5, 6, 7, 3});
  CHECK(encoding.offsets[1] == TextSpan{0, 2});
  CHECK(encoding.offsets[3] == TextSpan{5, 7});
  CHECK(encoding.sources[0] == TokenSource::kTemplate);
  CHECK(encoding.sources[4] == TokenSource::kTemplate);
}

TEST_CASE("The tokens of a unigram vocabulary have the places of their words") {
  UnigramTrainerOptions options;
  options.vocab_size = 90;
  const std::vector<std::string> lines = TestCorpus();
  const auto model = TrainUnigram(Views(lines), options);
  INFO(model.status());
  REQUIRE(model.ok());
  const auto tokenizer = LoadTokenizer(*model).value();
  const Encoding encoding = tokenizer->EncodeWithOffsets("\xC3\xA9  play");
  CHECK(encoding.sources.front() == TokenSource::kTemplate);
  CHECK(encoding.sources.back() == TokenSource::kTemplate);
  REQUIRE(encoding.size() >= 4);
  CHECK(encoding.offsets[1] == TextSpan{0, 1});
  CHECK(encoding.offsets[encoding.size() - 2] == TextSpan{3, 7});
  CHECK(encoding.ids == tokenizer->Encode("\xC3\xA9  play", 100));
}

TEST_CASE("A tokenizer comes back from its bytes, and from the folder of an export") {
  const auto tokenizer = Made({{"vocab.txt", kVocabulary}, {"tokenizer_config.json", kConfig}});
  const auto loaded = LoadTokenizer(tokenizer->bytes());
  REQUIRE(loaded.ok());
  CHECK((*loaded)->bytes() == tokenizer->bytes());
  CHECK((*loaded)->Encode("an OX", 100) == tokenizer->Encode("an OX", 100));

  const TestDir dir;
  for (const NamedFile& file : tokenizer->ExportFiles(77))
    REQUIRE(PosixEnv()->WriteFileAtomic(dir / file.name, file.bytes).ok());
  CHECK_THAT(PosixEnv()->ReadFile(dir / "tokenizer_config.json").value(),
             Contains("\"model_max_length\": 77"));
  CHECK(PosixEnv()->ReadFile(dir / "vocab.txt").value() == kVocabulary);
  for (const std::string& path : {dir.path(), std::string(dir / "vocab.txt")}) {
    const auto read = ReadTokenizer(PosixEnv(), path);
    REQUIRE(read.ok());
    CHECK((*read)->Encode("an OX", 100) == tokenizer->Encode("an OX", 100));
    CHECK(TokenizerFilesAt(PosixEnv(), path)->size() == 2);
  }
}

TEST_CASE("Bytes that are cut off or changed are refused or read, but never worse") {
  const std::string bytes = Made({{"vocab.txt", kVocabulary}, {"tokenizer_config.json", kConfig}})->bytes();
  for (size_t size = 0; size < bytes.size(); ++size) (void)LoadTokenizer(bytes.substr(0, size));
  for (size_t at = 0; at < bytes.size(); ++at) {
    std::string changed = bytes;
    changed[at] = static_cast<char>(changed[at] ^ 1);
    (void)LoadTokenizer(changed);
  }
  CHECK_FALSE(LoadTokenizer(bytes.substr(0, 30)).ok());
}

TEST_CASE("A folder or file without a vocabulary is refused, with what was expected") {
  const TestDir dir;
  CHECK(absl::IsNotFound(ReadTokenizer(PosixEnv(), dir / "none").status()));
  CHECK_THAT(std::string(ReadTokenizer(PosixEnv(), dir.path()).status().message()),
             Contains("has no vocabulary; expected one of sentencepiece.model, tokenizer.json, vocab.txt, "
                      "vocab.json with merges.txt, spiece.model"));
  REQUIRE(PosixEnv()->WriteFileAtomic(dir / "tokenizer.json", "{").ok());
  CHECK_THAT(std::string(ReadTokenizer(PosixEnv(), dir.path()).status().message()),
             Contains(dir / "tokenizer.json"));
  REQUIRE(PosixEnv()->WriteFileAtomic(dir / "notes.txt", "words").ok());
  CHECK_FALSE(ReadTokenizer(PosixEnv(), dir / "notes.txt").ok());
  CHECK_THAT(std::string(MakePretrainedTokenizer({{"vocab.txt", kVocabulary}, {"tokenizer_config.json", "["}})
                             .status()
                             .message()),
             Contains("tokenizer_config.json: not a JSON object"));
}

}  // namespace
}  // namespace shoal::model
