#include "tools/shoal/training_folder.h"

#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "catch2/catch.hpp"
#include "common/storage/fault_env.h"
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
  for (const char* name : {"report.json", "metrics.jsonl", "model", "adapter", "logs", "plots", "state",
                           "state.moved", "work"}) {
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

// Claims DIR/NAME and prepares its state, with a store in it as the scheduler makes one.
std::optional<TrainingFolder::FormerState> Train(const TestDir& dir, const std::string& name) {
  const auto folder = TrainingFolder::Claim(PosixEnv(), dir / name);
  REQUIRE(folder.ok());
  const bool had_state = (*folder)->HasState().value();
  auto former = (*folder)->PrepareState();
  REQUIRE(former.ok());
  CHECK((had_state ? !*former : (*folder)->HasState().value()));
  const std::string store = dir / name + "/state/scheduler.sqlite";
  if (!PosixEnv()->FileExists(store)) Write(store, "of " + name);
  return *std::move(former);
}

std::string StoreIn(const std::string& state) {
  return PosixEnv()->ReadFile(JoinPath(state, "scheduler.sqlite")).value_or("none");
}

void Copy(const std::string& from, const std::string& to) {
  std::filesystem::copy(from, to, std::filesystem::copy_options::recursive);
}

TEST_CASE("A state stays in its folder, by whatever path that is claimed, and however often",
          "[training folder]") {
  const TestDir dir;
  REQUIRE_FALSE(Train(dir, "here"));
  std::filesystem::create_symlink(dir / "here", dir / "link");
  for (const char* name : {"here", "link", "here", "link"}) CHECK_FALSE(Train(dir, name));
  CHECK(StoreIn(dir / "here/state") == "of here");
  CHECK_FALSE(PosixEnv()->FileExists(dir / "here/state.moved"));
}

TEST_CASE("The state of a folder that was copied, or moved, is set aside there, also at a later attempt",
          "[training folder]") {
  const TestDir dir;
  REQUIRE_FALSE(Train(dir, "here"));
  Copy(dir / "here", dir / "copy");
  // A command that is refused, or ends at this point, claims the folder and does no more.
  REQUIRE(TrainingFolder::Claim(PosixEnv(), dir / "copy").ok());
  auto former = Train(dir, "copy");
  REQUIRE(former);
  CHECK(former->made_in == dir / "here");
  CHECK(former->aside == dir / "copy/state.moved");
  CHECK(StoreIn(former->aside) == "of here");
  CHECK(StoreIn(dir / "copy/state") == "of copy");
  CHECK_FALSE(Train(dir, "copy"));
  CHECK_FALSE(Train(dir, "here"));
  std::filesystem::rename(dir / "here", dir / "there");
  former = Train(dir, "there");
  REQUIRE(former);
  CHECK(former->made_in == dir / "here");
}

TEST_CASE("A folder that takes another's place by name has a state of its own", "[training folder]") {
  const TestDir dir;
  REQUIRE_FALSE(Train(dir, "here"));
  std::filesystem::create_symlink(dir / "here", dir / "link");
  REQUIRE_FALSE(Train(dir, "link"));
  // The path that the state was made by leads to another folder now.
  std::filesystem::rename(dir / "here", dir / "former");
  REQUIRE_FALSE(Train(dir, "here"));
  const auto former = Train(dir, "former");
  REQUIRE(former);
  CHECK(StoreIn(former->aside) == "of here");
}

TEST_CASE("A claim by a symbolic link knows the folder itself, so the link may lead elsewhere later",
          "[training folder]") {
  const TestDir dir;
  std::filesystem::create_directory(dir / "here");
  std::filesystem::create_directory_symlink("here", dir / "link");
  std::filesystem::create_directory(dir / "else");
  std::filesystem::create_directory_symlink("../here", dir / "else/link");
  for (const char* path : {"link", "link/", "else/link/../link", "./here/../link"}) {
    const auto folder = TrainingFolder::Claim(PosixEnv(), dir / path);
    REQUIRE(folder.ok());
    CHECK((*folder)->path() == std::filesystem::canonical(dir / "here"));
  }
}

TEST_CASE("What a command leaves that ends while it creates the state is no former state",
          "[training folder]") {
  const TestDir dir;
  REQUIRE(TrainingFolder::Claim(PosixEnv(), dir / "run").ok());
  std::filesystem::create_directory(dir / "run/state");
  Write(dir / "run/state/folder.tmp", "cut o");
  CHECK_FALSE(Train(dir, "run"));
  CHECK_FALSE(PosixEnv()->FileExists(dir / "run/state.moved"));
}

TEST_CASE("A state that does not say where it was made is set aside", "[training folder]") {
  const TestDir dir;
  REQUIRE_FALSE(Train(dir, "run"));
  REQUIRE(PosixEnv()->DeleteFile(dir / "run/state/folder").ok());
  const auto former = Train(dir, "run");
  REQUIRE(former);
  CHECK(former->made_in.empty());
  CHECK(StoreIn(former->aside) == "of run");
}

TEST_CASE("Nothing is replaced by a state that is set aside", "[training folder]") {
  const TestDir dir;
  REQUIRE_FALSE(Train(dir, "here"));
  Copy(dir / "here", dir / "copy");
  Write(dir / "copy/state.moved", "mine");
  const auto former = Train(dir, "copy");
  REQUIRE(former);
  CHECK(former->aside == dir / "copy/state.moved-2");
  CHECK(PosixEnv()->ReadFile(dir / "copy/state.moved").value() == "mine");
}

TEST_CASE("Whichever operation fails, no other folder's state is left where a scheduler would use it",
          "[training folder]") {
  uint64_t failures = 0;
  for (uint64_t operation = 1;; ++operation) {
    const TestDir dir;
    REQUIRE_FALSE(Train(dir, "here"));
    Copy(dir / "here", dir / "copy");
    FaultEnv env(PosixEnv());
    {
      const auto folder = TrainingFolder::Claim(&env, dir / "copy");
      REQUIRE(folder.ok());
      env.SetRules({FaultRule{"", operation, 0, EIO}});
      if ((*folder)->PrepareState().ok()) break;
    }
    ++failures;
    (void)Train(dir, "copy");
    CHECK(StoreIn(dir / "copy/state") == "of copy");
    CHECK(StoreIn(dir / "copy/state.moved") == "of here");
  }
  CHECK(failures >= 8);
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
