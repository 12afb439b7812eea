#include "common/rpc/artifact_chunks.h"

#include <vector>

#include "catch2/catch.hpp"
#include "common/base/sha256.h"
#include "common/storage/test_dir.h"

namespace shoal {
namespace {

NextChunk NextOf(const std::vector<ArtifactChunk>& chunks) {
  return [chunks, next = size_t{0}](ArtifactChunk* chunk) mutable {
    if (next == chunks.size()) return false;
    *chunk = chunks[next++];
    return true;
  };
}

std::vector<ArtifactChunk> ChunksOf(const std::vector<std::string>& pieces, const std::string& whole) {
  ArtifactChunks chunks(Sha256Hex(whole));
  std::vector<ArtifactChunk> made;
  for (const std::string& piece : pieces) made.push_back(chunks.Next(whole.size(), piece));
  return made;
}

TEST_CASE("The first chunk names the artifact, the others are bytes, and together they are stored") {
  const TestDir dir;
  ArtifactFolder folder(PosixEnv(), dir / "artifacts");
  const std::vector<ArtifactChunk> chunks = ChunksOf({"abc", "def", ""}, "abcdef");
  CHECK(chunks[0].sha256() == Sha256Hex("abcdef"));
  CHECK(chunks[0].bytes() == 6);
  CHECK((chunks[1].sha256().empty() && chunks[1].bytes() == 0 && chunks[1].data() == "def"));
  REQUIRE(ReceiveArtifact(&folder, NextOf(chunks)).ok());
  CHECK(*PosixEnv()->ReadFile(folder.PathOf(Sha256Hex("abcdef"))) == "abcdef");
}

TEST_CASE("An artifact without chunks is refused, even an empty one") {
  const TestDir dir;
  ArtifactFolder folder(PosixEnv(), dir / "artifacts");
  CHECK(absl::IsInvalidArgument(ReceiveArtifact(&folder, NextOf({}))));
  CHECK(ReceiveArtifact(&folder, NextOf(ChunksOf({""}, ""))).ok());
}

TEST_CASE("Who asked for an artifact does not accept another one, whatever its chunks name") {
  const TestDir dir;
  ArtifactFolder folder(PosixEnv(), dir / "artifacts");
  Artifact wanted;
  wanted.set_sha256(Sha256Hex("abc"));
  wanted.set_bytes(3);
  CHECK(absl::IsDataLoss(ReceiveArtifact(&folder, wanted, NextOf(ChunksOf({"xyz"}, "xyz")))));
  CHECK(PosixEnv()->ListDir(dir / "artifacts")->empty());
  CHECK(ReceiveArtifact(&folder, wanted, NextOf(ChunksOf({"a", "bc"}, "xyz"))).ok());
  CHECK(*PosixEnv()->ReadFile(folder.PathOf(wanted.sha256())) == "abc");
}

}  // namespace
}  // namespace shoal
