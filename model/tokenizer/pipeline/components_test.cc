// Every component and option of tokenizer.json against what `tokenizers` does
// (tests/interop/make_tokenizer_cases.py).
#include "catch2/catch.hpp"
#include "model/tokenizer/pipeline/test_cases.h"

namespace shoal::model {
namespace {

constexpr char kCases[] = "model/tokenizer/pipeline/testdata/components.jsonl";

TEST_CASE("Each component gives the ids, offsets and texts of tokenizers") {
  std::vector<TestJson> lines = ReadJsonLines(kCases);
  REQUIRE(lines.size() > 90);
  const TestJson models = lines[0];
  for (size_t i = 1; i < lines.size(); ++i) {
    INFO(lines[i]["name"]);
    TestJson file = lines[i]["tokenizer"];
    file["model"] = models[file["model"].get<std::string>()];
    const auto tokenizer = Ok(LoadTokenizerJson(file.dump()));
    for (const TestJson& test : lines[i]["cases"]) CheckCase(*tokenizer, test);
  }
}

}  // namespace
}  // namespace shoal::model
