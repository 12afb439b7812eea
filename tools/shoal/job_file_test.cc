#include "tools/shoal/job_file.h"

#include "absl/strings/str_cat.h"
#include "catch2/catch.hpp"
#include "common/storage/test_dir.h"

namespace shoal::tools {
namespace {

TEST_CASE("A data file that can't be opened is told with its field, in whichever list it is") {
  const TestDir dir;
  const std::string there = dir / "there.tsv", missing = dir / "missing.tsv";
  REQUIRE(PosixEnv()->WriteFileAtomic(there, "").ok());
  JobSpec job;
  DataSpec& data = *job.mutable_data();
  const char* field = GENERATE("data.files", "data.train_files", "data.validation_files", "data.test_files");
  auto* const files = field == std::string("data.files")              ? data.mutable_files()
                      : field == std::string("data.train_files")      ? data.mutable_train_files()
                      : field == std::string("data.validation_files") ? data.mutable_validation_files()
                                                                      : data.mutable_test_files();
  *files->Add() = there;
  CHECK(CheckDataFiles(PosixEnv(), job).ok());
  *files->Add() = missing;
  CHECK(CheckDataFiles(PosixEnv(), job).message() ==
        absl::StrCat(field, "[1]: can't open ", missing, ": No such file or directory"));
}

}  // namespace
}  // namespace shoal::tools
