#include "common/storage/artifact_folder.h"

#include <cerrno>
#include <vector>

#include "absl/strings/str_cat.h"
#include "catch2/catch.hpp"
#include "common/base/sha256.h"
#include "common/storage/fault_env.h"
#include "common/storage/test_dir.h"

namespace shoal {
namespace {

// Returns the pieces in order.
ArtifactFolder::NextPiece Pieces(std::vector<std::string> pieces) {
  return [pieces, next = size_t{0}](std::string* piece) mutable {
    if (next == pieces.size()) return false;
    *piece = pieces[next++];
    return true;
  };
}

std::vector<std::string> FilesIn(const std::string& folder) {
  const auto names = PosixEnv()->ListDir(folder);
  REQUIRE(names.ok());
  return *names;
}

}  // namespace

TEST_CASE("An artifact is exactly what was sent, or nothing") {
  const TestDir dir;
  ArtifactFolder folder(PosixEnv(), dir / "artifacts");
  const std::string digest = Sha256Hex("abcdef");
  const auto put = [&](uint64_t bytes, std::vector<std::string> pieces) {
    return folder.Put(digest, bytes, Pieces(std::move(pieces)));
  };
  CHECK(absl::IsDataLoss(put(6, {"abc"})));
  CHECK(absl::IsDataLoss(put(6, {"abc", "dex"})));
  CHECK(absl::IsDataLoss(put(6, {"abc", "def", "g"})));
  CHECK(absl::IsDataLoss(put(5, {"abc", "def"})));
  CHECK(FilesIn(dir / "artifacts").empty());
  CHECK(absl::IsNotFound(folder.Verify(digest)));
  REQUIRE(put(6, {"abc", "", "def"}).ok());
  CHECK(FilesIn(dir / "artifacts") == std::vector<std::string>{digest});
  CHECK(folder.Verify(digest).ok());
}

TEST_CASE("A name that is not a digest never becomes a path") {
  const TestDir dir;
  ArtifactFolder folder(PosixEnv(), dir / "artifacts");
  for (const std::string& name : {std::string(), std::string("../../etc/passwd"), std::string(64, '/'),
                                  std::string(63, 'a'), std::string(64, 'A')}) {
    CHECK(absl::IsInvalidArgument(folder.Put(name, 1, Pieces({"a"}))));
    CHECK(absl::IsInvalidArgument(folder.Verify(name)));
    CHECK(absl::IsInvalidArgument(folder.Delete(name)));
  }
}

TEST_CASE("An artifact that is too large is refused, with both sizes, before any byte of it is written") {
  const TestDir dir;
  ArtifactFolder folder(PosixEnv(), dir / "artifacts");
  const std::string digest = Sha256Hex("abc");
  const absl::Status status = folder.Put(digest, kMaxArtifactBytes + 1, [](std::string*) -> bool {
    FAIL("no piece of it is wanted");
    return false;
  });
  CHECK(absl::IsInvalidArgument(status));
  CHECK_THAT(std::string(status.message()), Catch::Matchers::Contains(absl::StrCat(kMaxArtifactBytes + 1)) &&
                                                Catch::Matchers::Contains(absl::StrCat(kMaxArtifactBytes)));
  const std::string piece(kMaxArtifactPieceBytes + 1, 'x');
  CHECK(absl::IsInvalidArgument(folder.Put(Sha256Hex(piece), piece.size(), Pieces({piece}))));
  CHECK(FilesIn(dir / "artifacts").empty());
}

TEST_CASE("A full disk leaves nothing half-written") {
  const TestDir dir;
  FaultEnv env(PosixEnv());
  ArtifactFolder folder(&env, dir / "artifacts");
  FaultRule full;
  full.after_bytes = 4;
  full.error = ENOSPC;
  env.SetRules({full});
  const absl::Status status = folder.Put(Sha256Hex("abcdef"), 6, Pieces({"abc", "def"}));
  CHECK(absl::IsResourceExhausted(status));
  CHECK(FilesIn(dir / "artifacts").empty());
}

TEST_CASE("A damaged file is told from an intact one") {
  const TestDir dir;
  ArtifactFolder folder(PosixEnv(), dir / "artifacts");
  const std::string digest = Sha256Hex("abcdef");
  REQUIRE(folder.Put(digest, 6, Pieces({"abcdef"})).ok());
  for (const char* damaged : {"abcdeg", "abcde", "abcdefg", ""}) {
    REQUIRE(PosixEnv()->WriteFileAtomic(folder.PathOf(digest), damaged).ok());
    CHECK(absl::IsDataLoss(folder.Verify(digest)));
  }
  REQUIRE(folder.Put(digest, 6, Pieces({"abcdef"})).ok());  // repairs it
  CHECK(folder.Verify(digest).ok());
}

TEST_CASE("All artifacts but the needed ones are deleted, and nothing else in the folder") {
  const TestDir dir;
  ArtifactFolder folder(PosixEnv(), dir / "artifacts");
  CHECK(folder.KeepOnly({}).ok());  // there is no folder yet
  const std::string needed = Sha256Hex("abc"), other = Sha256Hex("def");
  REQUIRE(folder.Put(needed, 3, Pieces({"abc"})).ok());
  REQUIRE(folder.Put(other, 3, Pieces({"def"})).ok());
  REQUIRE(PosixEnv()->WriteFileAtomic(dir / "artifacts/notes", "mine").ok());
  CHECK(folder.KeepOnly({needed}).ok());
  CHECK(folder.Verify(needed).ok());
  CHECK(absl::IsNotFound(folder.Verify(other)));
  CHECK(PosixEnv()->FileExists(dir / "artifacts/notes"));
  CHECK(folder.Delete(needed).ok());
  CHECK(folder.Delete(needed).ok());
  CHECK(absl::IsNotFound(folder.Verify(needed)));
}

TEST_CASE("Two processes may store the same artifact in one folder at once") {
  const TestDir dir;
  ArtifactFolder one(PosixEnv(), dir / "artifacts"), other(PosixEnv(), dir / "artifacts");
  const std::string digest = Sha256Hex("abcdef");
  bool nested = false;
  // The other one starts, writes and finishes while the first is in the middle.
  const absl::Status status = one.Put(digest, 6, [&, next = 0](std::string* piece) mutable {
    *piece = next == 0 ? "abc" : "def";
    if (next == 1) {
      nested = true;
      CHECK(FilesIn(dir / "artifacts").size() == 1);
      CHECK(other.Put(digest, 6, Pieces({"ab", "cdef"})).ok());
      CHECK(FilesIn(dir / "artifacts").size() == 2);
    }
    return next++ < 2;
  });
  CHECK(nested);
  CHECK(status.ok());
  CHECK(one.Verify(digest).ok());
  CHECK(FilesIn(dir / "artifacts") == std::vector<std::string>{digest});
}

TEST_CASE("What a dead writer left is deleted and what a live one writes is not, whatever the clock says") {
  const TestDir dir;
  const std::string digest = Sha256Hex("abcdef");
  ArtifactFolder folder(PosixEnv(), dir / "artifacts");
  REQUIRE(folder.Put(digest, 6, Pieces({"abcdef"})).ok());
  const std::string left = absl::StrCat(folder.PathOf(digest), ".partial-ab-1");
  const std::string strange = dir / "artifacts/notes.partial-x";
  REQUIRE(PosixEnv()->WriteFileAtomic(left, "abc").ok());
  REQUIRE(PosixEnv()->WriteFileAtomic(strange, "abc").ok());
  CHECK(folder
            .Put(digest, 6,
                 [&, next = 0](std::string* piece) mutable {
                   *piece = "abcdef";
                   if (next == 0) ArtifactFolder(PosixEnv(), dir / "artifacts");  // a process starts
                   return next++ == 0;
                 })
            .ok());
  CHECK_FALSE(PosixEnv()->FileExists(left));
  CHECK(PosixEnv()->FileExists(strange));
  CHECK(folder.Verify(digest).ok());
}

}  // namespace shoal
