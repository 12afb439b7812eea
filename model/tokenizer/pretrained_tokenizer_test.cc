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
#include "model/tokenizer/words.h"

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

TEST_CASE("A pair has the template and the types of the files, and its longer text is cut first") {
  const auto tokenizer = Made({{"vocab.txt", kVocabulary}});
  const Encoding pair = tokenizer->EncodePair("An", "oxen an", 100);
  CHECK(pair.ids == Ids{2, 5, 3, 6, 7, 5, 3});
  CHECK(pair.type_ids == Ids{0, 0, 0, 1, 1, 1, 1});
  const Encoding cut = tokenizer->EncodePair("An", "oxen an", 6);
  CHECK(cut.ids == Ids{2, 5, 3, 6, 7, 3});
  CHECK(cut.type_ids == Ids{0, 0, 0, 1, 1, 1});
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
  const Encoding encoding = tokenizer->EncodeWords("an oxen", SplitWords("an oxen"));
  CHECK(encoding.ids == Ids{2, 5, 6, 7, 3});
  CHECK(encoding.offsets[1] == TextSpan{0, 2});
  CHECK(encoding.offsets[3] == TextSpan{5, 7});
  CHECK(encoding.sources[0] == TokenSource::kTemplate);
  CHECK(encoding.sources[4] == TokenSource::kTemplate);
}

TEST_CASE("With a unigram vocabulary each word is encoded by itself, and its tokens are in it") {
  UnigramTrainerOptions options;
  options.vocab_size = 90;
  const std::vector<std::string> lines = TestCorpus();
  const auto model = TrainUnigram(Views(lines), options);
  INFO(model.status());
  REQUIRE(model.ok());
  const auto tokenizer = LoadTokenizer(*model).value();
  const std::string text = "\xC3\xA9 (play";
  const std::vector<TextSpan> words = SplitWords(text);
  const Encoding encoding = tokenizer->EncodeWords(text, words);
  CHECK(encoding.sources.front() == TokenSource::kTemplate);
  CHECK(encoding.sources.back() == TokenSource::kTemplate);
  REQUIRE(encoding.size() >= 5);
  CHECK(encoding.offsets[1] == words[0]);
  CHECK(encoding.offsets[encoding.size() - 2].end == words[2].end);
  CHECK(encoding.ids == tokenizer->Encode("\xC3\xA9 ( play", 100));
}

TEST_CASE("Words are split as BERT's basic tokenizer splits them") {
  const auto split = [](const std::string& text) {
    std::string words;
    for (const TextSpan& word : SplitWords(text)) absl::StrAppend(&words, word.begin, "-", word.end, " ");
    return words;
  };
  CHECK(split("") == "");
  CHECK(split(" \t\r\n") == "");
  CHECK(split("Ada saw Paris, she said.") == "0-3 4-7 8-13 13-14 15-18 19-23 23-24 ");
  CHECK(split("\xE2\x80\x9COslo\xE2\x80\x9D\xC2\xA0is $5") ==
        "0-1 1-5 5-6 7-9 10-11 11-12 ");                                // quotes, no-break space
  CHECK(split("\xE5\x9C\xA8\xE5\x8C\x97Oslo") == "0-1 1-2 2-6 ");       // ideographs
  CHECK(split("\xE3\x81\x8B\xE3\x81\xAA\xE3\x80\x80x") == "0-2 3-4 ");  // kana, wide space
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
                      "vocab.json with merges.txt"));
  REQUIRE(PosixEnv()->WriteFileAtomic(dir / "tokenizer.json", "{").ok());
  CHECK_THAT(std::string(ReadTokenizer(PosixEnv(), dir.path()).status().message()),
             Contains(absl::StrCat(dir.path(), ": tokenizer.json: ")));
  REQUIRE(PosixEnv()->WriteFileAtomic(dir / "notes.txt", "words").ok());
  CHECK_THAT(std::string(ReadTokenizer(PosixEnv(), dir / "notes.txt").status().message()),
             Contains("notes.txt: ") && Contains("a vocabulary of another kind has one of the names"));
  CHECK_THAT(std::string(MakePretrainedTokenizer({{"vocab.txt", kVocabulary}, {"tokenizer_config.json", "["}})
                             .status()
                             .message()),
             Contains("tokenizer_config.json: not a JSON object"));
}

TEST_CASE("What would give other ids than in transformers is refused") {
  const auto error = [](std::vector<NamedFile> files) {
    return std::string(MakePretrainedTokenizer(std::move(files)).status().message());
  };
  CHECK_THAT(error({{"vocab.txt", kVocabulary},
                    {"tokenizer_config.json", R"({"tokenizer_class": "BertJapaneseTokenizer"})"}}),
             Contains("of the class BertJapaneseTokenizer is not supported"));
  CHECK_THAT(error({{"vocab.json", R"({"<mask>": 0})"},
                    {"merges.txt", ""},
                    {"tokenizer_config.json", R"({"add_prefix_space": true})"}}),
             Contains("add_prefix_space"));
  const TestDir dir;
  REQUIRE(PosixEnv()->WriteFileAtomic(dir / "vocab.txt", kVocabulary).ok());
  REQUIRE(PosixEnv()->WriteFileAtomic(dir / "added_tokens.json", "{}").ok());
  CHECK_THAT(std::string(ReadTokenizer(PosixEnv(), dir.path()).status().message()),
             Contains("added_tokens.json beside vocab.txt is not supported"));
}

TEST_CASE("The vocabulary of a decoder, which frames no text, is for causal models only") {
  const auto gpt2 = MakePretrainedTokenizer(
      {{"vocab.json", R"({"a": 0, "b": 1, "<|endoftext|>": 2})"}, {"merges.txt", "#version: 0.2\n"}});
  REQUIRE(gpt2.ok());
  CHECK((*gpt2)->Encode("ab", 10) == std::vector<uint32_t>{0, 1});
  CHECK((*gpt2)->Encode("aba", 2) == std::vector<uint32_t>{0, 1});
  CHECK_THAT(std::string(CheckForEncoders(**gpt2).message()),
             Contains("puts no special tokens around a text"));
  const auto bert = MakePretrainedTokenizer({{"vocab.txt", kVocabulary}});
  REQUIRE(bert.ok());
  CHECK(CheckForEncoders(**bert).ok());
}

TEST_CASE("A special token without a name is none") {
  const auto tokenizer = Made({{"vocab.txt", absl::StrCat(kVocabulary, "\n")}});
  CHECK(tokenizer->special().pad == 0);
}

}  // namespace
}  // namespace shoal::model
