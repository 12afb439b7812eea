#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "catch2/catch.hpp"
#include "common/base/philox.h"
#include "model/tokenizer/test_corpus.h"
#include "model/tokenizer/text_normalizer.h"
#include "model/tokenizer/tokenizer.h"
#include "model/tokenizer/unigram_trainer.h"

namespace shoal::model {
namespace {

// Lines of words that are put together from parts of the corpus' words, so that there is much to segment.
std::vector<std::string> NewLines() {
  const std::vector<std::string> corpus = TestCorpus();
  PhiloxStream random(DeriveKey(3, "lines"));
  std::vector<std::string> lines;
  for (int i = 0; i < 2000; ++i) {
    const std::string& a = corpus[random.UniformInt(corpus.size())];
    const std::string& b = corpus[random.UniformInt(corpus.size())];
    const std::string line = a.substr(random.UniformInt(a.size())) + b.substr(0, random.UniformInt(b.size()));
    lines.push_back(NormalizeText(line));
  }
  return lines;
}

void Write(const std::string& path, const std::string& bytes) {
  std::ofstream file(path, std::ios::binary);
  file << bytes;
  REQUIRE(file.flush());
}

TEST_CASE("SentencePiece loads the model and segments like we do") {
  UnigramTrainerOptions options;
  options.vocab_size = 100;
  const std::string model = TrainUnigram(Views(TestCorpus()), options).value();
  const auto tokenizer = LoadTokenizer(model).value();
  const std::vector<std::string> lines = NewLines();

  const std::string folder = std::getenv("TEST_TMPDIR") != nullptr ? std::getenv("TEST_TMPDIR") : ".";
  const std::string model_file = folder + "/model", lines_file = folder + "/lines",
                    ids_file = folder + "/ids";
  Write(model_file, model);
  Write(lines_file, absl::StrCat(absl::StrJoin(lines, "\n"), "\n"));
  const std::string command = absl::StrCat("model/tokenizer/sentencepiece_reference '", model_file, "' < '",
                                           lines_file, "' > '", ids_file, "'");
  REQUIRE(std::system(command.c_str()) == 0);

  std::ifstream ids(ids_file);
  int different = 0;
  for (const std::string& line : lines) {
    std::string reference;
    REQUIRE(std::getline(ids, reference));
    different += reference != absl::StrJoin(tokenizer->Encode(line, 1000), " ");
  }
  CHECK(different == 0);
}

}  // namespace
}  // namespace shoal::model
