// Files, and files that fail when told to.
#include "common/storage/file.h"

#include <sys/stat.h>

#include <cerrno>
#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "common/storage/fault_env.h"
#include "common/storage/test_dir.h"

namespace shoal {
namespace {

TEST_CASE("A file written atomically holds the old bytes or the new ones, whichever operation fails") {
  const TestDir dir;
  const std::string path = dir / "file";
  REQUIRE(PosixEnv()->WriteFileAtomic(path, "old").ok());
  FaultEnv env(PosixEnv());
  uint64_t failures = 0;
  for (uint64_t n = 1;; ++n) {
    env.SetRules({FaultRule{"", n, 0, EIO}});
    const absl::Status status = env.WriteFileAtomic(path, "new");
    const auto content = PosixEnv()->ReadFile(path);
    REQUIRE(content.ok());
    CHECK((*content == "old" || *content == "new"));
    if (status.ok()) {
      CHECK(*content == "new");
      break;
    }
    ++failures;
    REQUIRE(PosixEnv()->WriteFileAtomic(path, "old").ok());
  }
  CHECK(failures >= 4);  // create, append, sync, rename at least
}

TEST_CASE("A full disk takes what fits, then says so with the path") {
  const TestDir dir;
  FaultEnv env(PosixEnv(), {FaultRule{"small", 0, 10, ENOSPC}});
  auto file = env.NewWritableFile(dir / "small");
  REQUIRE(file.ok());
  CHECK((*file)->Append("12345").ok());
  const absl::Status status = (*file)->Append("123456789");
  CHECK(status.code() == absl::StatusCode::kResourceExhausted);
  CHECK_THAT(std::string(status.message()),
             Catch::Matchers::Contains("small") && Catch::Matchers::Contains("No space left on device"));
  REQUIRE((*file)->Close().ok());
  CHECK(*PosixEnv()->ReadFile(dir / "small") == "1234512345");
  CHECK(env.WriteFileAtomic(dir / "other", std::string(100, 'x')).ok());
}

TEST_CASE("Fault rules are parsed, and wrong ones refused with the field") {
  const auto rules = ParseFaultRules("path=checkpoints,after=1MiB,error=ENOSPC;nth=3,error=EIO");
  REQUIRE(rules.ok());
  REQUIRE(rules->size() == 2);
  CHECK((*rules)[0].after_bytes == 1 << 20);
  CHECK((*rules)[1].nth_operation == 3);
  for (const char* wrong :
       {"path=x", "error=EWHAT", "nth=x,error=EIO", "paht=x,error=EIO", "after=1,error=EIO"}) {
    CHECK_FALSE(ParseFaultRules(wrong).ok());
  }
}

TEST_CASE("Paths are joined, split and made absolute") {
  CHECK(JoinPath("a/", "/b") == "a/b");
  CHECK(JoinPath("", "b") == "b");
  CHECK(DirName("a/b") == "a");
  CHECK(DirName("b") == ".");
  CHECK(BaseName("a/b") == "b");
  CHECK(*AbsolutePath("/a/./b/../c") == "/a/c");
}

TEST_CASE("Folders are created with their parents, listed in order, and removed with their contents") {
  const TestDir dir;
  Env* const env = PosixEnv();
  REQUIRE(env->CreateDirs(dir / "a/b/c").ok());
  REQUIRE(env->CreateDirs(dir / "a/b/c").ok());
  REQUIRE(env->WriteFileAtomic(dir / "a/z", "1").ok());
  const auto names = env->ListDir(dir / "a");
  REQUIRE(names.ok());
  CHECK(*names == std::vector<std::string>{"b", "z"});
  REQUIRE(env->DeleteTree(dir / "a").ok());
  CHECK_FALSE(env->FileExists(dir / "a"));
  CHECK(env->DeleteTree(dir / "a").ok());
  CHECK(env->ReadFile(dir / "none").status().code() == absl::StatusCode::kNotFound);
}

TEST_CASE("Reading or writing a pipe is an error, and does not wait for somebody at its other end") {
  const TestDir dir;
  const std::string pipe = dir / "pipe";
  REQUIRE(mkfifo(pipe.c_str(), 0600) == 0);
  Env* const env = PosixEnv();
  const absl::Status statuses[] = {env->ReadFile(pipe).status(), env->NewWritableFile(pipe).status(),
                                   env->NewWritableFile(pipe, WriteMode::kAppend).status()};
  for (const absl::Status& status : statuses) {
    CHECK(absl::IsInvalidArgument(status));
    CHECK(status.message() == "can't open " + pipe + ": it is a pipe; expected a file");
  }
  CHECK(env->IsBeingWritten(pipe));  // that can't be determined
}

TEST_CASE("Reading past the end is an error") {
  const TestDir dir;
  REQUIRE(PosixEnv()->WriteFileAtomic(dir / "file", "12345").ok());
  const auto file = PosixEnv()->NewRandomAccessFile(dir / "file");
  REQUIRE(file.ok());
  std::string out(3, ' ');
  REQUIRE((*file)->Read(1, absl::MakeSpan(out)).ok());
  CHECK(out == "234");
  CHECK((*file)->Read(3, absl::MakeSpan(out)).code() == absl::StatusCode::kOutOfRange);
  CHECK(*PosixEnv()->Sha256OfFile(dir / "file") ==
        "5994471abb01112afcc18159f6cc74b4f511b99806da59b3caf5a9c173cacfc5");
}

}  // namespace
}  // namespace shoal
