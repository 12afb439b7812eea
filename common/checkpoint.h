// Checkpoints on disk: docs/byte-formats.md. A folder "version-V" with one safetensors file a shard and
// manifest.json.
//
// Servers write their shard file into "version-V.partial"; when all have, the scheduler writes the manifest
// there and renames the folder. So a folder without ".partial" is whole. All nodes see the same storage under
// the same path.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/file.h"
#include "common/safetensors.h"
#include "common/types.h"
#include "proto/checkpoint.pb.h"

namespace shoal {

inline constexpr uint32_t kCheckpointFormat = 1;

// "shard-3-of-8.safetensors"
std::string ShardFileName(uint32_t shard, uint32_t shards);
// "version-120", and "version-120.partial" while it is being written.
std::string CheckpointName(Version version);
std::string PartialCheckpointName(Version version);

// ---- writing (server) ----

// One block of a shard. Borrowed.
struct BlockToWrite {
  BlockId block;
  absl::Span<const float> theta;
  std::vector<absl::Span<const float>> moments;  // as many as ShardFile::moment_names
};

struct ShardFile {
  uint64_t job = 0;
  uint64_t writer = 0;  // node: two servers may write the same shard, when one was given up for the other
  Version version;
  uint32_t shard = 0;
  uint32_t shards = 1;
  std::vector<std::string> moment_names;  // "exp_avg", "exp_avg_sq"; "momentum"
  std::vector<BlockToWrite> blocks;
};

// Writes the shard's file into folder/version-V.partial (made when it is not there), durably. Errors: what
// the Env says; an incomplete file may be left behind, which the next attempt replaces.
absl::StatusOr<CheckpointShard> WriteShardFile(Env* env, const std::string& folder, const ShardFile& file);

// ---- committing and finding (scheduler) ----

// Writes manifest.json and gives the folder its final name. Returns its path. What else was begun in it (by
// servers that were given up) is removed. Committing a version of the same job that is there already is
// harmless: the one that is there stays. Errors: FAILED_PRECONDITION when a shard's file is missing or has
// another size, or when the version that is there is of another job or has other bytes; what the Env says.
absl::StatusOr<std::string> CommitCheckpoint(Env* env, const std::string& folder,
                                             const CheckpointManifest& manifest);

// The committed versions in `folder`, ascending; none when there is no such folder.
absl::StatusOr<std::vector<Version>> ListCheckpoints(Env* env, const std::string& folder);

// Of one checkpoint (".../version-120"). Errors: NOT_FOUND; INVALID_ARGUMENT for a damaged or newer manifest.
absl::StatusOr<CheckpointManifest> ReadManifest(Env* env, const std::string& checkpoint);

// Removes a committed version or what is left of an attempt; OK when there is none.
absl::Status DeleteCheckpoint(Env* env, const std::string& folder, Version version);

// Removes what is left of all attempts in `folder`; OK when there is no such folder.
absl::Status DeletePartialCheckpoints(Env* env, const std::string& folder);

// ---- reading (server, scheduler, command line) ----

// A committed checkpoint. Thread-safe; movable.
class CheckpointReader {
 public:
  // Reads the manifest and the headers of all shard files; data is read later. Errors: NOT_FOUND,
  // INVALID_ARGUMENT that say which file of which checkpoint is missing, of another size, or malformed.
  static absl::StatusOr<CheckpointReader> Open(Env* env, const std::string& checkpoint);

  const CheckpointManifest& manifest() const { return manifest_; }

  // Sizes in elements of all blocks of θ, in order of θ.
  const std::vector<uint64_t>& block_sizes() const { return block_sizes_; }

  // Reads one block's tensor: `name` is "theta" or a moment's. Checks its CRC. Errors: NOT_FOUND;
  // INVALID_ARGUMENT when the size differs; DATA_LOSS when the bytes are damaged; what the file says.
  absl::Status ReadBlock(absl::string_view name, BlockId block, absl::Span<float> out) const;

  // All of θ, in order: float32.
  absl::StatusOr<std::vector<float>> ReadTheta() const;

  // SHA-256 in hexadecimal of θ as float32, little-endian, in order: what a job reports as parameters_sha256.
  absl::StatusOr<std::string> ThetaSha256() const;

  // Compares each shard file's SHA-256 with the manifest. Errors: DATA_LOSS that names the file.
  absl::Status VerifyFiles() const;

 private:
  CheckpointReader() = default;
  absl::Status AddShard(const CheckpointShard& shard);
  absl::Status IndexTheta();

  struct Location {
    uint32_t file = 0;
    const SafetensorsEntry* entry = nullptr;
    uint32_t crc32c = 0;
  };

  Env* env_ = nullptr;
  std::string path_;
  CheckpointManifest manifest_;
  std::vector<std::unique_ptr<SafetensorsReader>> files_;
  absl::flat_hash_map<std::string, Location> tensors_;
  std::vector<uint64_t> block_sizes_;
};

}  // namespace shoal
