#include "common/storage/whole_folder.h"

#include <cerrno>
#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "common/base/status.h"
#include "common/storage/fault_env.h"
#include "common/storage/file.h"
#include "common/storage/test_dir.h"

namespace shoal {
namespace {

using Catch::Matchers::Contains;
using Names = std::vector<std::string>;

Names NamesIn(const std::string& folder) { return PosixEnv()->ListDir(folder).value(); }

// Writes the files a, b and marker, each with `text`.
absl::Status WriteThree(Env* env, const std::string& folder, const std::string& text = "new") {
  return WriteWholeFolder(env, folder, "marker", [&](const std::string& unfinished) -> absl::Status {
    SHOAL_RETURN_IF_ERROR(env->CreateDirs(unfinished));
    for (const char* name : {"a", "b", "marker"})
      SHOAL_RETURN_IF_ERROR(env->WriteFileAtomic(JoinPath(unfinished, name), text));
    return absl::OkStatus();
  });
}

// The text of all three files; "mixed" when they differ.
std::string TextIn(const std::string& folder) {
  const std::string text = PosixEnv()->ReadFile(JoinPath(folder, "marker")).value();
  for (const char* name : {"a", "b"}) {
    if (PosixEnv()->ReadFile(JoinPath(folder, name)).value() != text) return "mixed";
  }
  return text;
}

TEST_CASE(
    "A folder that is written whole is there with all its files or not at all, whichever operation fails") {
  FaultEnv env(PosixEnv());
  bool done = false;
  for (uint64_t n = 1; !done; ++n) {
    INFO("operation " << n);
    const TestDir dir;
    env.SetRules({FaultRule{"", n, 0, EIO}});
    const std::string folder = dir / "new/folder", unfinished = dir / "new/.folder.partial";
    const absl::Status status = WriteThree(&env, folder);
    done = env.operations() < n;
    if (done) CHECK(status.ok());
    if (PosixEnv()->FileExists(folder)) CHECK(NamesIn(folder) == Names{"a", "b", "marker"});
    if (PosixEnv()->FileExists(unfinished)) CHECK_THAT(std::string(status.message()), Contains(unfinished));
    env.SetRules({});
    CHECK(WriteThree(&env, folder).ok());
    CHECK(NamesIn(dir / "new") == Names{"folder"});
  }
}

TEST_CASE("A folder that exists never has its marker with old and new files, whichever operation fails") {
  FaultEnv env(PosixEnv());
  bool done = false;
  for (uint64_t n = 1; !done; ++n) {
    INFO("operation " << n);
    const TestDir dir;
    const std::string unfinished = dir / ".export.partial";
    REQUIRE(WriteThree(PosixEnv(), dir.path(), "old").ok());
    env.SetRules({FaultRule{"", n, 0, EIO}});
    const absl::Status status = WriteThree(&env, dir.path());
    INFO(status);
    done = env.operations() < n;
    if (done) CHECK(status.ok());
    if (PosixEnv()->FileExists(dir / "marker")) {
      CHECK(TextIn(dir.path()) != "mixed");
    } else {
      // The rest of the new files is not lost.
      CHECK(PosixEnv()->FileExists(JoinPath(unfinished, "marker")));
    }
    if (PosixEnv()->FileExists(unfinished)) CHECK_THAT(std::string(status.message()), Contains(unfinished));
    env.SetRules({});
    CHECK(WriteThree(&env, dir.path()).ok());
    CHECK(NamesIn(dir.path()) == Names{"a", "b", "marker"});
    CHECK(TextIn(dir.path()) == "new");
  }
}

TEST_CASE("A folder that exists keeps its other files; what was interrupted is deleted by the next attempt") {
  const TestDir dir;
  REQUIRE(PosixEnv()->WriteFileAtomic(dir / "notes", "mine").ok());
  REQUIRE(PosixEnv()->CreateDirs(dir / ".export.partial/half").ok());
  CHECK(WriteThree(PosixEnv(), dir.path() + "/").ok());
  CHECK(NamesIn(dir.path()) == Names{"a", "b", "marker", "notes"});
  CHECK(PosixEnv()->ReadFile(dir / "notes").value() == "mine");

  REQUIRE(PosixEnv()->CreateDirs(dir / ".other.partial/half").ok());
  CHECK(WriteThree(PosixEnv(), dir / "other").ok());
  CHECK(NamesIn(dir.path()) == Names{"a", "b", "marker", "notes", "other"});
  CHECK(NamesIn(dir / "other") == Names{"a", "b", "marker"});
}

TEST_CASE("A user's own folder with a name like that of an unfinished one is left alone") {
  const TestDir dir;
  REQUIRE(PosixEnv()->WriteFileAtomic(dir / "notes", "mine").ok());
  REQUIRE(PosixEnv()->CreateDirs(dir / "export.partial/mine").ok());
  REQUIRE(PosixEnv()->CreateDirs(dir / "other.partial/mine").ok());
  CHECK(WriteThree(PosixEnv(), dir.path()).ok());
  CHECK(WriteThree(PosixEnv(), dir / "other").ok());
  CHECK(PosixEnv()->FileExists(dir / "export.partial/mine"));
  CHECK(PosixEnv()->FileExists(dir / "other.partial/mine"));
}

TEST_CASE("A write that fails leaves an existing folder as it was") {
  const TestDir dir;
  REQUIRE(WriteThree(PosixEnv(), dir.path(), "old").ok());
  FaultEnv env(PosixEnv(), {FaultRule{"partial/b", 0, 0, ENOSPC}});
  CHECK_FALSE(WriteThree(&env, dir.path()).ok());
  CHECK(NamesIn(dir.path()) == Names{"a", "b", "marker"});
  CHECK(TextIn(dir.path()) == "old");
}

}  // namespace
}  // namespace shoal
