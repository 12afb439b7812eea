// Artifacts as nodes send them: pieces after a digest and a size. Asserted: exactly the right bytes are
// accepted and can be read back, and a refused artifact leaves nothing behind and changes nothing that is
// there.
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/sha256.h"
#include "common/base/status.h"
#include "common/storage/artifact_folder.h"
#include "tests/fuzz/byte_source.h"
#include "tests/simulation/memory_disk.h"

namespace shoal {
namespace {

struct Sent {
  std::string sha256;
  uint64_t bytes = 0;
  std::vector<std::string> pieces;

  std::string content() const { return absl::StrJoin(pieces, ""); }
  bool IsRight() const { return bytes == content().size() && sha256 == Sha256Hex(content()); }
};

Sent NextSent(ByteSource* source) {
  Sent sent;
  for (uint32_t pieces = source->Below(4); pieces > 0; --pieces) sent.pieces.push_back(source->Bytes(40));
  sent.sha256 = Sha256Hex(sent.content());
  sent.bytes = sent.content().size();
  switch (source->Below(6)) {
    case 0:
      sent.bytes = source->Number();
      break;
    case 1:
      sent.sha256[source->Below(64)] ^= static_cast<char>(source->Byte());
      break;
    case 2:
      sent.sha256 = source->Bytes(70);
      break;
    case 3:
      sent.pieces.push_back(source->Bytes(3));
      break;
    default:
      break;
  }
  return sent;
}

absl::Status Put(ArtifactFolder* folder, const Sent& sent) {
  size_t next = 0;
  return folder->Put(sent.sha256, sent.bytes, [&](std::string* piece) {
    if (next == sent.pieces.size()) return false;
    *piece = sent.pieces[next++];
    return true;
  });
}

void CheckReads(const ArtifactFolder& folder, const Sent& sent) {
  std::string read;
  SHOAL_CHECK_OK(folder.Read(sent.sha256, [&](uint64_t bytes, absl::string_view piece) {
    SHOAL_CHECK(bytes == sent.bytes);
    absl::StrAppend(&read, piece);
    return true;
  }));
  SHOAL_CHECK(read == sent.content());
}

}  // namespace
}  // namespace shoal

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace shoal;
  ByteSource source(data, size);
  simulation::MemoryDisk disk;
  simulation::MemoryEnv env(&disk, 0, nullptr);
  ArtifactFolder folder(&env, "artifacts");
  while (!source.done()) {
    const Sent sent = NextSent(&source);
    const std::vector<std::string> before = disk.Files("");
    const absl::Status status = Put(&folder, sent);
    SHOAL_CHECK(status.ok() == sent.IsRight());
    if (status.ok()) {
      CheckReads(folder, sent);
    } else {
      SHOAL_CHECK(disk.Files("") == before);
    }
  }
  return 0;
}
