#include "common/storage/whole_folder.h"

#include <cerrno>
#include <vector>

#include "catch2/catch.hpp"
#include "common/base/status.h"
#include "common/storage/fault_env.h"
#include "common/storage/test_dir.h"

namespace shoal {
namespace {

using Names = std::vector<std::string>;

Names NamesIn(const std::string& folder) { return PosixEnv()->ListDir(folder).value(); }

absl::Status WriteTwoFiles(Env* env, const std::string& folder) {
  return WriteWholeFolder(env, folder, [env](const std::string& unfinished) -> absl::Status {
    SHOAL_RETURN_IF_ERROR(env->CreateDirs(unfinished));
    SHOAL_RETURN_IF_ERROR(env->WriteFileAtomic(JoinPath(unfinished, "a"), "first"));
    return env->WriteFileAtomic(JoinPath(unfinished, "b"), "second");
  });
}

TEST_CASE(
    "A folder that is written whole is there with all its files or not at all, whichever operation fails") {
  FaultEnv env(PosixEnv());
  bool done = false;
  for (uint64_t n = 1; !done; ++n) {
    INFO("operation " << n);
    const TestDir dir;
    env.SetRules({FaultRule{"", n, 0, EIO}});
    const absl::Status status = WriteTwoFiles(&env, dir / "new/folder");
    done = env.operations() < n;
    if (done) CHECK(status.ok());
    const std::string folder = dir / "new/folder";
    if (PosixEnv()->FileExists(folder)) CHECK(NamesIn(folder) == Names{"a", "b"});
    CHECK_FALSE(PosixEnv()->FileExists(folder + ".partial"));
    env.SetRules({});
    CHECK(WriteTwoFiles(&env, folder).ok());
  }
}

TEST_CASE("A folder that exists keeps its other files; what was interrupted is deleted by the next attempt") {
  const TestDir dir;
  REQUIRE(PosixEnv()->WriteFileAtomic(dir / "notes", "mine").ok());
  REQUIRE(PosixEnv()->CreateDirs(dir / "export.partial/half").ok());
  CHECK(WriteTwoFiles(PosixEnv(), dir.path() + "/").ok());
  CHECK(NamesIn(dir.path()) == Names{"a", "b", "notes"});
  CHECK(PosixEnv()->ReadFile(dir / "notes").value() == "mine");

  REQUIRE(PosixEnv()->CreateDirs(dir / "other.partial/half").ok());
  CHECK(WriteTwoFiles(PosixEnv(), dir / "other").ok());
  CHECK(NamesIn(dir.path()) == Names{"a", "b", "notes", "other"});
  CHECK(NamesIn(dir / "other") == Names{"a", "b"});
}

TEST_CASE("A write that fails leaves an existing folder as it was") {
  const TestDir dir;
  REQUIRE(PosixEnv()->WriteFileAtomic(dir / "notes", "mine").ok());
  FaultEnv env(PosixEnv(), {FaultRule{"partial/b", 0, 0, ENOSPC}});
  CHECK_FALSE(WriteTwoFiles(&env, dir.path()).ok());
  CHECK(NamesIn(dir.path()) == Names{"notes"});
}

}  // namespace
}  // namespace shoal
