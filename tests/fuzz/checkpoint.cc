// A checkpoint folder: the input is the sizes of its files, followed by their bytes: manifest, history, two
// shard files. Asserted: a checkpoint that opens has a manifest that prints and reads back the same, every
// block it names is either read with its checksum or refused, and reading all of θ agrees with reading its
// blocks.
#include "common/storage/checkpoint.h"

#include <cstdint>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "common/storage/checkpoint_manifest.h"
#include "google/protobuf/util/json_util.h"
#include "scheduler/checkpoint_files.h"
#include "tests/fuzz/byte_source.h"
#include "tests/fuzz/memory_files.h"

namespace shoal {
namespace {

constexpr char kFolder[] = "version-4";

void CheckManifest(CheckpointManifest manifest) {
  if (manifest.format() != kCheckpointFormat) return;  // an older format lacks fields that are written today
  auto again = ParseManifest(FormatManifest(manifest));
  SHOAL_CHECK_OK(again);
  for (CheckpointManifest* m : {&manifest, &*again}) {
    m->clear_format();
    m->clear_self_sha256();
  }
  SHOAL_CHECK(again->SerializeAsString() == manifest.SerializeAsString());
}

void CheckBlocks(const CheckpointReader& reader) {
  bool all = true;
  uint64_t elements = 0;
  for (size_t block = 0; block < reader.block_sizes().size(); ++block) {
    std::vector<float> values(reader.block_sizes()[block]);
    elements += values.size();
    all = reader.ReadBlock("theta", BlockId(block), absl::MakeSpan(values)).ok() && all;
    values.push_back(0);
    SHOAL_CHECK(!reader.ReadBlock("theta", BlockId(block), absl::MakeSpan(values)).ok());
  }
  SHOAL_CHECK(elements == reader.manifest().parameters());
  SHOAL_CHECK(reader.ReadTheta().ok() == all);
  if (!all) SHOAL_CHECK(!reader.Verify().ok());
}

void CheckCheckpoint(MemoryFiles* files) {
  const auto manifest = ReadManifest(files, kFolder);
  if (manifest.ok()) CheckManifest(*manifest);
  const auto reader = CheckpointReader::Open(files, kFolder);
  SHOAL_CHECK(manifest.ok() || !reader.ok());
  if (reader.ok()) CheckBlocks(*reader);
  (void)scheduler::FindResumePoint(files, kFolder);
}

}  // namespace
}  // namespace shoal

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace shoal;
  constexpr const char* kNames[] = {"manifest.json", "history.json", "shard-0-of-2.safetensors",
                                    "shard-1-of-2.safetensors"};
  if (size < 8) return 0;
  MemoryFiles files;
  absl::string_view rest(reinterpret_cast<const char*>(data) + 8, size - 8);
  for (size_t i = 0; i < 4; ++i) {
    const size_t bytes = data[2 * i] | data[2 * i + 1] << 8;
    if (bytes == 0xFFFF) continue;  // not there
    const absl::string_view part = rest.substr(0, bytes);
    files[JoinPath(kFolder, kNames[i])] = std::string(part);
    rest.remove_prefix(part.size());
  }
  CheckCheckpoint(&files);
  // Again with the digest that the manifest should have, which no mutation would find.
  std::string& text = files[JoinPath(kFolder, kNames[0])];
  CheckpointManifest manifest;
  if (!google::protobuf::util::JsonStringToMessage(text, &manifest).ok()) return 0;
  text = FormatManifest(manifest);
  CheckCheckpoint(&files);
  return 0;
}
