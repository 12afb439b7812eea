#include "tools/shoal/training_folder.h"

#include <unistd.h>

#include <filesystem>
#include <string>

#include "absl/strings/str_cat.h"
#include "catch2/catch.hpp"
#include "common/storage/test_dir.h"

namespace shoal::tools {
namespace {

using Catch::Matchers::Contains;

void Write(const std::string& path, const std::string& text) {
  REQUIRE(PosixEnv()->WriteFileAtomic(path, text).ok());
}

absl::Status Claim(const TestDir& dir) { return TrainingFolder::Claim(PosixEnv(), dir.path()).status(); }

TEST_CASE("A folder is held by one process at a time, and others are told by which", "[training folder]") {
  const TestDir dir;
  auto first = TrainingFolder::Claim(PosixEnv(), dir / "new");
  REQUIRE(first.ok());
  const auto second = TrainingFolder::Claim(PosixEnv(), dir / "new");
  CHECK(absl::IsFailedPrecondition(second.status()));
  CHECK_THAT(std::string(second.status().message()),
             Contains(absl::StrCat("process ", getpid())) && Contains(dir / "new"));
  first->reset();
  CHECK(TrainingFolder::Claim(PosixEnv(), dir / "new").ok());
}

TEST_CASE("A folder with a file named like one that a training writes is refused, unless a training made it",
          "[training folder]") {
  for (const char* name : {"report.json", "metrics.jsonl", "model", "logs", "state", "work"}) {
    const TestDir dir;
    Write(dir / name, "mine");
    const absl::Status refused = Claim(dir);
    CHECK(absl::IsInvalidArgument(refused));
    CHECK_THAT(std::string(refused.message()), Contains(dir / name));
    CHECK(PosixEnv()->ListDir(dir.path())->size() == 1);
  }
  const TestDir dir;
  Write(dir / "notes.txt", "files with other names are allowed");
  CHECK(Claim(dir).ok());
  Write(dir / "report.json", R"({"job": 1, "parameters_sha256": ""})");
  Write(dir / "metrics.jsonl", "{\"event\": \"log\"}\n{\"event\": \"cut o");
  CHECK(Claim(dir).ok());
}

TEST_CASE("A folder that was moved knows where it was, and one that has another path is the same",
          "[training folder]") {
  const TestDir dir;
  REQUIRE(TrainingFolder::Claim(PosixEnv(), dir / "here").value()->moved_from().empty());
  CHECK(TrainingFolder::Claim(PosixEnv(), dir / "here").value()->moved_from().empty());
  std::filesystem::create_symlink(dir / "here", dir / "link");
  CHECK(TrainingFolder::Claim(PosixEnv(), dir / "link").value()->moved_from().empty());
  std::filesystem::copy(dir / "here", dir / "copy", std::filesystem::copy_options::recursive);
  CHECK(TrainingFolder::Claim(PosixEnv(), dir / "copy").value()->moved_from() == dir / "link");
  CHECK(TrainingFolder::Claim(PosixEnv(), dir / "copy").value()->moved_from().empty());
}

TEST_CASE("A report or metrics of another form is refused in a training's folder, too", "[training folder]") {
  for (const char* name : {"report.json", "metrics.jsonl"}) {
    const TestDir dir;
    REQUIRE(Claim(dir).ok());
    Write(dir / name, R"({"mine": 1})");
    CHECK_THAT(std::string(Claim(dir).message()), Contains(dir / name));
  }
}

}  // namespace
}  // namespace shoal::tools
