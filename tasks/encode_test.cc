#include "tasks/encode.h"

#include "catch2/catch.hpp"
#include "model/tokenizer/byte_tokenizer.h"
#include "tasks/registry.h"

namespace shoal::tasks {
namespace {

TEST_CASE("A language model's examples are consecutive windows of each text") {
  ExampleSet set;
  set.examples.resize(2);
  set.examples[0].text = "abcdef";  // 7 tokens including the end
  set.examples[1].text = "\xff";
  const auto part =
      EncodeExamples(set, *MakeByteTokenizer(), 3, *FindTask(TASK_CAUSAL_LANGUAGE_MODELLING), /*labels=*/{});
  REQUIRE(part.ok());
  CHECK(part->tokens == std::vector<int32_t>{'a', 'b', 'c', 'd', 'e', 'f', 255, 256});
  CHECK(part->offsets == std::vector<uint64_t>{0, 3, 6, 8});  // 256 alone would predict nothing
  CHECK(part->classes.empty());
  CHECK(part->targets.empty());
}

}  // namespace
}  // namespace shoal::tasks
