// The direction of dependencies, as Bazel sees it: common, proto <- kernels <- model <- tasks <- worker;
// common, kernels <- server; common, tasks without models <- scheduler. In common: base <- protocol <-
// storage; job uses base and storage without protocol; rpc is on top. Each file holds the result of a
// genquery (BUILD.bazel).
#include <string>

#include "catch2/catch.hpp"
#include "common/storage/file.h"

namespace shoal {
namespace {

std::string Found(const std::string& query) {
  const auto text = PosixEnv()->ReadFile("tests/dependencies/" + query);
  REQUIRE(text.ok());
  return *text;
}

TEST_CASE("Nothing depends on what it must not") {
  CHECK(Found("wrong_of_scheduler") == "");
  CHECK(Found("wrong_of_server") == "");
  CHECK(Found("wrong_of_worker") == "");
  CHECK(Found("wrong_of_model") == "");
  CHECK(Found("wrong_of_tasks") == "");
  for (const char* folder : {"base", "job", "protocol", "storage"}) {
    INFO(folder);
    CHECK(Found(std::string("wrong_of_common_") + folder) == "");
  }
}

TEST_CASE("The queries find what is there") {
  CHECK_THAT(Found("models_of_worker"), Catch::Matchers::Contains("//model:model"));
  CHECK_THAT(Found("tasks_of_scheduler"), Catch::Matchers::Contains("//tasks:tasks"));
}

}  // namespace
}  // namespace shoal
