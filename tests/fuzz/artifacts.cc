// Artifacts as they travel: chunks that a node sends to the scheduler, chunks that a node gets for an
// artifact it asked for, and requests with any digest. Asserted: exactly the right bytes are accepted, and
// reach another folder in chunks; a refused artifact leaves nothing behind and changes nothing that is there;
// a digest never becomes a path outside of the folder.
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/base/sha256.h"
#include "common/base/status.h"
#include "common/rpc/artifact_chunks.h"
#include "common/storage/artifact_folder.h"
#include "common/storage/file.h"
#include "proto/scheduler.pb.h"
#include "tests/fuzz/byte_source.h"
#include "tests/fuzz/message_mutator.h"
#include "tests/fuzz/path_check.h"
#include "tests/simulation/memory_disk.h"

namespace shoal {
namespace {

constexpr char kFolder[] = "artifacts", kOther[] = "copies";

struct Sent {
  Artifact artifact;  // as the receiver expects it
  std::vector<ArtifactChunk> chunks;

  std::string Content() const {
    std::string content;
    for (const ArtifactChunk& chunk : chunks) content += chunk.data();
    return content;
  }
  bool Has(const std::string& sha256, uint64_t bytes) const {
    return bytes == Content().size() && sha256 == Sha256Hex(Content());
  }
};

std::vector<ArtifactChunk> ChunksOf(const std::vector<std::string>& pieces, const Artifact& artifact) {
  ArtifactChunks chunks(artifact.sha256());
  std::vector<ArtifactChunk> made;
  for (const std::string& piece : pieces) made.push_back(chunks.Next(artifact.bytes(), piece));
  return made;
}

void ChangeDescription(ByteSource* source, uint32_t change, Artifact* artifact) {
  if (change == 0) artifact->set_bytes(source->Number());
  if (change == 1) (*artifact->mutable_sha256())[source->Below(64)] ^= static_cast<char>(source->Byte());
  if (change == 2) artifact->set_sha256(source->Bytes(70));
}

Sent NextSent(ByteSource* source) {
  std::vector<std::string> pieces;
  for (uint32_t count = source->Below(4); count > 0; --count) pieces.push_back(source->Bytes(40));
  std::string content;
  for (const std::string& piece : pieces) content += piece;
  Sent sent;
  sent.artifact.set_sha256(Sha256Hex(content));
  sent.artifact.set_bytes(content.size());
  const uint32_t change = source->Below(8);
  ChangeDescription(source, change, &sent.artifact);
  if (change == 3) pieces.push_back(source->Bytes(3));
  sent.chunks = ChunksOf(pieces, sent.artifact);
  if (change == 4 && !sent.chunks.empty())
    MutateField(source, &sent.chunks[source->Below(static_cast<uint32_t>(sent.chunks.size()))]);
  return sent;
}

NextChunk NextOf(const std::vector<ArtifactChunk>& chunks) {
  return [&chunks, next = size_t{0}](ArtifactChunk* chunk) mutable {
    if (next == chunks.size()) return false;
    *chunk = chunks[next++];
    return true;
  };
}

class Session {
 public:
  explicit Session(ByteSource* source) : source_(source) {}

  void Play() {
    while (!source_->done()) Event();
  }

 private:
  void Event() {
    const uint32_t kind = source_->Below(8);
    if (kind < 4) return Upload();
    if (kind < 6) return Fetch();
    return kind == 6 ? Ask() : Delete();
  }

  // As in PutArtifact: the first chunk says what it is.
  void Upload() {
    const Sent sent = NextSent(source_);
    const bool right = !sent.chunks.empty() && sent.Has(sent.chunks[0].sha256(), sent.chunks[0].bytes());
    const std::vector<std::string> before = disk_.Files("");
    const absl::Status status = ReceiveArtifact(&folder_, NextOf(sent.chunks));
    Stored(status, right, sent, before);
  }
  // As in a node's GetArtifact: the plan says what it is.
  void Fetch() {
    const Sent sent = NextSent(source_);
    const bool right = sent.Has(sent.artifact.sha256(), sent.artifact.bytes());
    const std::vector<std::string> before = disk_.Files("");
    const absl::Status status = ReceiveArtifact(&folder_, sent.artifact, NextOf(sent.chunks));
    Stored(status, right, sent, before);
  }
  void Stored(const absl::Status& status, bool right, const Sent& sent,
              const std::vector<std::string>& before) {
    SHOAL_CHECK(status.ok() == right);
    if (!right) SHOAL_CHECK(disk_.Files("") == before);
    if (!right) return;
    const std::string sha256 = Sha256Hex(sent.Content());
    stored_[sha256] = sent.Content();
    CheckReaches(sha256);
  }

  // As in the scheduler's GetArtifact, with a node at the other end.
  void CheckReaches(const std::string& sha256) {
    Artifact wanted;
    wanted.set_sha256(sha256);
    wanted.set_bytes(stored_[sha256].size());
    std::vector<ArtifactChunk> chunks;
    ArtifactChunks made(sha256);
    SHOAL_CHECK_OK(folder_.Read(sha256, [&](uint64_t bytes, absl::string_view piece) {
      chunks.push_back(made.Next(bytes, piece));
      return true;
    }));
    SHOAL_CHECK(chunks[0].sha256() == sha256 && chunks[0].bytes() == wanted.bytes());
    SHOAL_CHECK_OK(ReceiveArtifact(&other_, wanted, NextOf(chunks)));
    const auto bytes = env_.ReadFile(other_.PathOf(sha256));
    SHOAL_CHECK_OK(bytes);
    SHOAL_CHECK(*bytes == stored_[sha256]);
  }

  std::string ADigest() {
    GetArtifactRequest request;
    request.set_sha256(stored_.empty() ? Sha256Hex("") : stored_.begin()->first);
    MutateMessage(source_, &request);
    if (source_->Below(4) == 0) request.set_sha256(source_->Bytes(70));
    return request.sha256();
  }
  void Ask() {
    const std::string sha256 = ADigest();
    const absl::Status status = folder_.Verify(sha256);
    SHOAL_CHECK(status.ok() == (stored_.count(sha256) > 0));
    SHOAL_CHECK(status.ok() || absl::IsNotFound(status) || absl::IsInvalidArgument(status));
  }
  void Delete() {
    const std::string sha256 = ADigest();
    const size_t files = disk_.Files(kFolder).size();
    const absl::Status status = folder_.Delete(sha256);
    SHOAL_CHECK(status.ok() || absl::IsInvalidArgument(status));
    SHOAL_CHECK(disk_.Files(kFolder).size() == files - stored_.erase(sha256));
  }

  ByteSource* const source_;
  simulation::MemoryDisk disk_;
  PathCheck paths_{{kFolder, kOther}};
  simulation::MemoryEnv env_{&disk_, 0, &paths_};
  ArtifactFolder folder_{&env_, kFolder}, other_{&env_, kOther};
  std::map<std::string, std::string> stored_;  // bytes by digest
};

}  // namespace
}  // namespace shoal

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  shoal::ByteSource source(data, size);
  shoal::Session(&source).Play();
  return 0;
}
