// Runs a fuzz target as an ordinary test: on every file of its corpus, and on mutations of them. A target
// aborts when something is wrong; Catch2 then names the file.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "catch2/catch.hpp"
#include "common/base/philox.h"
#include "common/storage/file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace shoal {
namespace {

constexpr int kMutations = 300;
constexpr size_t kMaxInputBytes = 4096;

struct Input {
  std::string name;
  std::string bytes;
};

std::vector<Input> Corpus() {
  const char* const folder = std::getenv("SHOAL_FUZZ_CORPUS");
  REQUIRE(folder != nullptr);
  const auto names = PosixEnv()->ListDir(folder);
  REQUIRE(names.ok());
  std::vector<Input> inputs;
  for (const std::string& name : *names) {
    const auto bytes = PosixEnv()->ReadFile(JoinPath(folder, name));
    REQUIRE(bytes.ok());
    inputs.push_back({name, *bytes});
  }
  REQUIRE_FALSE(inputs.empty());
  return inputs;
}

void Run(const std::string& bytes) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
}

// Applies one to four changes: a byte changed, or a range removed, duplicated, or replaced by a range of
// another input.
std::string Mutated(std::string bytes, const std::string& other, PhiloxStream* random) {
  for (uint64_t left = 1 + random->UniformInt(4); left > 0 && !bytes.empty(); --left) {
    const size_t begin = random->UniformInt(bytes.size());
    const size_t length = 1 + random->UniformInt(std::min<size_t>(bytes.size() - begin, 16));
    switch (random->UniformInt(4)) {
      case 0:
        bytes[begin] = static_cast<char>(random->Next32());
        break;
      case 1:
        bytes.erase(begin, length);
        break;
      case 2:
        bytes.insert(begin, bytes.substr(begin, length));
        break;
      default:
        bytes.replace(begin, length, other.substr(random->UniformInt(other.size() + 1), length));
    }
  }
  bytes.resize(std::min(bytes.size(), kMaxInputBytes));
  return bytes;
}

TEST_CASE("Every input of the corpus passes", "[fuzz]") {
  for (const Input& input : Corpus()) {
    INFO(input.name);
    CHECK(input.bytes.size() <= kMaxInputBytes);
    Run(input.bytes);
  }
  Run("");
}

TEST_CASE("Mutations of the corpus pass", "[fuzz]") {
  const std::vector<Input> corpus = Corpus();
  PhiloxStream random(DeriveKey(1, "fuzz"));
  for (int i = 0; i < kMutations; ++i) {
    const Input& input = corpus[random.UniformInt(corpus.size())];
    const Input& other = corpus[random.UniformInt(corpus.size())];
    const std::string bytes = Mutated(input.bytes, other.bytes, &random);
    INFO("mutation " << i << " of " << input.name);
    Run(bytes);
  }
}

}  // namespace
}  // namespace shoal
