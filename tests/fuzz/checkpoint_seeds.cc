// Writes the seeds of the corpus "checkpoint" in the current format: checkpoint_seeds FOLDER.
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "common/storage/checkpoint.h"
#include "common/storage/test_dir.h"

namespace shoal {
namespace {

constexpr uint32_t kShards = 2;

// A checkpoint of three blocks in two shards; its files by name.
std::map<std::string, std::string> MakeCheckpoint(const std::string& history) {
  const TestDir dir;
  const std::vector<std::vector<float>> blocks = {{1, 2, 3}, {4, 5, 6, 7}, {8, 9}};
  CheckpointManifest manifest;
  manifest.set_job(7);
  manifest.set_job_name("name");
  manifest.set_spec_sha256("spec");
  manifest.set_plan_sha256("plan");
  manifest.set_numerics_text("seed: 1\n");
  manifest.set_plan_text("labels: 2\n");
  manifest.set_version(4);
  manifest.set_parameters(9);
  for (uint32_t shard = 0; shard < kShards; ++shard) {
    ShardFile file;
    file.job = 7;
    file.version = Version(4);
    file.shard = shard;
    file.shards = kShards;
    file.array_names = {"momentum"};
    for (size_t block = shard; block < blocks.size(); block += kShards)
      file.blocks.push_back({BlockId(block), blocks[block], {absl::MakeConstSpan(blocks[block])}});
    const auto written = WriteShardFile(PosixEnv(), dir.path(), file);
    SHOAL_CHECK_OK(written);
    *manifest.add_shards() = *written;
  }
  const auto path = CommitCheckpoint(PosixEnv(), dir.path(), manifest, history);
  SHOAL_CHECK_OK(path);
  std::map<std::string, std::string> made;
  for (const char* name :
       {"manifest.json", "history.json", "shard-0-of-2.safetensors", "shard-1-of-2.safetensors"}) {
    const auto bytes = PosixEnv()->ReadFile(JoinPath(*path, name));
    if (bytes.ok()) made[name] = *bytes;
  }
  return made;
}

// In the form that checkpoint.cc reads: sizes (65535: no such file), then the files.
void Write(const std::string& path, const std::map<std::string, std::string>& files) {
  std::string sizes, bytes;
  for (const char* name :
       {"manifest.json", "history.json", "shard-0-of-2.safetensors", "shard-1-of-2.safetensors"}) {
    const auto found = files.find(name);
    const size_t size = found == files.end() ? 0xFFFF : found->second.size();
    sizes += static_cast<char>(size & 0xFF);
    sizes += static_cast<char>(size >> 8);
    if (found != files.end()) bytes += found->second;
  }
  SHOAL_CHECK_OK(PosixEnv()->WriteFileAtomic(path, sizes + bytes));
}

}  // namespace
}  // namespace shoal

int main(int argc, char** argv) {
  using namespace shoal;
  if (argc != 2) {
    std::cerr << "usage: checkpoint_seeds FOLDER\n";
    return 2;
  }
  const std::string folder = argv[1];
  auto whole = MakeCheckpoint("{\"evaluations\": []}\n");
  Write(JoinPath(folder, "whole"), whole);
  Write(JoinPath(folder, "no_history"), MakeCheckpoint(""));
  whole.erase("shard-1-of-2.safetensors");
  Write(JoinPath(folder, "one_shard"), whole);
  return 0;
}
