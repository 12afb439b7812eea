// Checkpoints on disk: docs/byte-formats.md. A folder "version-V" with one safetensors file per shard,
// history.json and manifest.json.
//
// Servers write their shard file into "version-V.R.partial", where R is the restore point that they run from;
// when all have, the scheduler writes the manifest there and renames the folder. So a folder without
// ".partial" is complete, and late files from an earlier restore point do not interfere. All nodes see the
// same storage under the same path.
//
// Each bit of each file is covered: the manifest by its own digest; history.json, each shard file as a whole,
// its header and each block in it by digests and checksums in the manifest. Reading a shard file from start
// to end compares the digest of the whole; reading some of its blocks compares the header's digest and the
// blocks' checksums.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/base/sha256.h"
#include "common/base/types.h"
#include "common/protocol/shard_map.h"
#include "common/storage/checkpoint_manifest.h"
#include "common/storage/file.h"
#include "common/storage/safetensors.h"
#include "proto/checkpoint.pb.h"

namespace shoal {

// The largest allowed history.json and manifest.json.
inline constexpr uint64_t kMaxCheckpointTextBytes = uint64_t{256} << 20;

// Whether an error of the functions below says that the checkpoint is damaged or gone, and not that the
// machine could not read it: DATA_LOSS or NOT_FOUND.
bool IsCheckpointDamage(const absl::Status& status);
// Whether it says that the storage can't be read in its present state: UNAVAILABLE (see CheckStorage) or
// PERMISSION_DENIED.
bool IsStorageTrouble(const absl::Status& status);
// Whether it says that the device returned an error (EIO), which may be permanent: UNKNOWN or INTERNAL.
bool IsUnreadable(const absl::Status& status);
// Whether it says that a write may succeed later: no space (RESOURCE_EXHAUSTED), or the storage is not there.
bool MayBeWrittenLater(const absl::Status& status);

// "version-120", and "version-120.3.partial" while it is being written from restore point 3.
std::string CheckpointName(Version version);
std::string PartialCheckpointName(Version version, RestoreId restore_id);

// ---- writing (server) ----

// One block of a shard. Borrowed.
struct BlockToWrite {
  BlockId block;
  absl::Span<const float> theta;
  // What the servers keep beside θ, one for each of ShardFile::array_names; of any size but 0.
  std::vector<absl::Span<const float>> arrays;
};

struct ShardFile {
  uint64_t job = 0;
  uint64_t writer = 0;  // node: two servers may write the same shard when one has replaced the other
  Version version;
  RestoreId restore_id;  // the restore point that the servers run from
  uint32_t shard = 0;
  uint32_t shards = 1;
  std::vector<std::string> array_names;  // "exp_avg", "exp_avg_sq"; "momentum"
  std::vector<BlockToWrite> blocks;
};

// Writes the shard's file into folder/version-V.R.partial (created if missing), durably. Errors: OUT_OF_RANGE
// that names the block when a parameter is infinite or not a number; nothing is written then. Those of the
// Env; an incomplete file may then be left behind, which the next attempt replaces, but on a full disk
// (RESOURCE_EXHAUSTED) it is deleted.
absl::StatusOr<CheckpointShard> WriteShardFile(Env* env, const std::string& folder, const ShardFile& file);

// ---- committing and finding (scheduler) ----

// Makes a checkpoint of the shard files that servers of the restore point have reported: reads all of them
// once and compares them with `manifest`, writes `history` (history.json; empty: none) and manifest.json, and
// gives the folder its final name. Returns its path. Costs one read of the checkpoint from its storage; where
// scheduler and servers share a machine, mostly from its cache. Fills in what `manifest` lacks: format,
// digests of headers, of history and of itself.
//
// Other attempts in the folder (of replaced servers) are removed. Committing an existing version with the
// same bits is harmless: it is read completely and stays; one that is damaged or can't be read is set aside
// and replaced by what the servers have written. Errors: UNAVAILABLE when the servers' storage is not there
// (CheckStorage); DATA_LOSS when a shard's file is missing or not what its server reported, or not of this
// job and version; FAILED_PRECONDITION when the existing version is of another training or has other bits;
// those of the Env.
absl::StatusOr<std::string> CommitCheckpoint(Env* env, const std::string& folder, CheckpointManifest manifest,
                                             const std::string& history = "",
                                             RestoreId restore_id = RestoreId(0));

// OK when the storage of `folder`, to which checkpoints were written, is there. A folder that is missing or
// empty, or holds only parts of versions, is taken for a mount point whose file system is not mounted. A
// folder that somebody has emptied still has the mark that commits leave. Errors: UNAVAILABLE that names the
// folder and says what to do.
absl::Status CheckStorage(Env* env, const std::string& folder);

// The committed versions in `folder`, ascending; none when there is no such folder.
absl::StatusOr<std::vector<Version>> ListCheckpoints(Env* env, const std::string& folder);

// The manifest of one checkpoint (".../version-120"). Errors: NOT_FOUND when there is no such folder, or it
// has neither manifest nor shard files; DATA_LOSS for a damaged manifest, or one whose version is not the one
// in the folder's name; UNIMPLEMENTED for a newer format.
absl::StatusOr<CheckpointManifest> ReadManifest(Env* env, const std::string& checkpoint);

// history.json of a checkpoint, compared with its manifest; "" when it has none. Errors: DATA_LOSS; those of
// the Env.
absl::StatusOr<std::string> ReadCheckpointHistory(Env* env, const std::string& checkpoint,
                                                  const CheckpointManifest& manifest);

// Renames a damaged checkpoint ("version-8.damaged", with "-2" and so on appended if taken), so that it is no
// longer taken for a checkpoint, and nothing is lost. Returns the new path.
absl::StatusOr<std::string> SetCheckpointAside(Env* env, const std::string& checkpoint);

// Removes a committed version; OK when there is none. Parts that are being written stay.
absl::Status DeleteCheckpoint(Env* env, const std::string& folder, Version version);

// Removes what servers of the restore point have written of a version that is not committed; OK when there is
// nothing. A committed one stays, whoever wrote it.
absl::Status DeleteCheckpointParts(Env* env, const std::string& folder, Version version,
                                   RestoreId restore_id);

// Removes what is left in `folder` of all attempts, or only of attempts from restore points before
// `before_restore`; OK when there is no such folder.
absl::Status DeletePartialCheckpoints(Env* env, const std::string& folder,
                                      std::optional<RestoreId> before_restore = std::nullopt);

// ---- reading (server, scheduler, command line) ----

// A committed checkpoint. Thread-safe; movable.
class CheckpointReader {
 public:
  // Reads the manifest and the headers of all shard files; data is read later. Errors: as ReadManifest;
  // DATA_LOSS that says which file is missing, of another size, malformed, of another job, version or shard,
  // or has other checksums.
  static absl::StatusOr<CheckpointReader> Open(Env* env, const std::string& checkpoint);

  // The same, with a manifest that is not written yet and may lack digests of headers.
  static absl::StatusOr<CheckpointReader> Open(Env* env, const std::string& checkpoint,
                                               CheckpointManifest manifest);

  const CheckpointManifest& manifest() const { return manifest_; }
  const std::string& path() const { return path_; }

  // Sizes in elements of all blocks, in the order of θ.
  const std::vector<uint64_t>& block_sizes() const { return block_sizes_; }
  // What a block holds besides θ, in order.
  const std::vector<std::string>& array_names() const { return array_names_; }

  // The file's bytes before its tensors.
  absl::string_view HeaderOf(int shard) const { return files_[shard]->header(); }

  // Reads one block's tensor: `name` is "theta" or an array's. Checks its CRC. Errors: INVALID_ARGUMENT when
  // there is no such tensor, or it has another size; DATA_LOSS when the bytes are damaged; those of the file.
  absl::Status ReadBlock(absl::string_view name, BlockId block, absl::Span<float> out) const;

  // The number of elements of such a tensor; 0: there is none.
  uint64_t SizeOf(absl::string_view name, BlockId block) const;

  // All of θ, in order: float32. `name`: of an array that belongs to it element by element, to read instead,
  // such as its average.
  absl::StatusOr<std::vector<float>> ReadTheta(absl::string_view name = "theta") const;

  // Reads everything once, and compares all digests and checksums. Returns the SHA-256, in hexadecimal, of θ
  // as float32, little-endian, in order: what a job reports as parameters_sha256. Errors: DATA_LOSS that
  // names the file.
  absl::StatusOr<std::string> Verify() const;

 private:
  friend class ShardFileReader;

  struct Location {
    uint32_t file = 0;
    const SafetensorsEntry* entry = nullptr;
    uint32_t crc32c = 0;
  };

  CheckpointReader() = default;
  absl::Status AddShard(int index);
  absl::Status CheckMetadata(int index, const SafetensorsReader& file) const;
  absl::Status AddTensor(int index, int position);
  absl::Status IndexBlocks();

  Env* env_ = nullptr;
  std::string path_;
  CheckpointManifest manifest_;
  std::vector<std::unique_ptr<SafetensorsReader>> files_;
  std::vector<std::string> array_names_;
  absl::flat_hash_map<std::string, Location> tensors_;
  std::vector<uint64_t> block_sizes_;
};

// Reads one shard's file from start to end, each byte once. Not thread-safe.
class ShardFileReader {
 public:
  // `checkpoint` must outlive it.
  ShardFileReader(const CheckpointReader* checkpoint, int shard);

  // Reads the shard's next block: `theta` and `arrays` have the sizes of its tensors. After the last block it
  // compares the file's digest. Errors: as CheckpointReader::ReadBlock.
  absl::Status ReadNext(absl::Span<float> theta, absl::Span<const absl::Span<float>> arrays);

 private:
  absl::Status ReadTensor(absl::string_view name, absl::Span<float> out);

  const CheckpointReader* const checkpoint_;
  const int shard_;
  const std::vector<BlockId> blocks_;  // of the shard
  size_t next_ = 0;                    // of them
  Sha256 sha256_;
};

}  // namespace shoal
