#include "common/storage/checkpoint.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "common/base/crc32c.h"
#include "common/base/sha256.h"
#include "common/base/status.h"

namespace shoal {
namespace {

constexpr char kManifestName[] = "manifest.json";
constexpr char kHistoryName[] = "history.json";
constexpr char kVersionPrefix[] = "version-";
constexpr char kShardPrefix[] = "shard-";
constexpr char kPartialSuffix[] = ".partial";
constexpr char kDamagedSuffix[] = ".damaged";
// Tells a folder of checkpoints, even an empty one, from a mount point whose file system is not mounted.
constexpr char kMark[] = ".shoal-checkpoints";
constexpr char kCrcPrefix[] = "crc32c.";
constexpr char kTheta[] = "theta";
// Elements checked and summed at a time.
constexpr size_t kPieceElements = 1 << 14;

std::string TensorName(absl::string_view name, BlockId block) {
  return absl::StrCat(name, ".", block.value());
}

absl::Span<const uint8_t> BytesOf(absl::Span<const float> values) {
  return {reinterpret_cast<const uint8_t*>(values.data()), values.size() * sizeof(float)};
}

struct Tensor {
  std::string name;
  absl::Span<const float> values;
  uint32_t crc32c = 0;
};

bool IsFinite(absl::Span<const float> values) {
  constexpr uint32_t kExponent = 0x7f800000;
  uint32_t found = 0;
  for (float value : values) {
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof(bits));
    found |= static_cast<uint32_t>((bits & kExponent) == kExponent);
  }
  return found == 0;
}

// One pass over the values: their checksum. Errors: OUT_OF_RANGE when `finite` and one is not.
absl::StatusOr<uint32_t> Checksum(absl::Span<const float> values, bool finite) {
  uint32_t crc = 0;
  for (size_t begin = 0; begin < values.size(); begin += kPieceElements) {
    const auto piece = values.subspan(begin, kPieceElements);
    if (finite && !IsFinite(piece)) return absl::OutOfRangeError("a parameter is infinite or not a number");
    crc = ExtendCrc32c(crc, BytesOf(piece));
  }
  return crc;
}

// In the order they are written. Errors: OUT_OF_RANGE.
absl::StatusOr<std::vector<Tensor>> TensorsOf(const ShardFile& file) {
  std::vector<Tensor> tensors;
  for (const BlockToWrite& block : file.blocks) {
    SHOAL_CHECK(block.arrays.size() == file.array_names.size());
    const auto crc = Checksum(block.theta, /*finite=*/true);
    if (!crc.ok()) return Annotate(crc.status(), absl::StrCat("block ", block.block.value()));
    tensors.push_back({TensorName(kTheta, block.block), block.theta, *crc});
    for (size_t i = 0; i < block.arrays.size(); ++i) {
      SHOAL_ASSIGN_OR_RETURN(const uint32_t of_array, Checksum(block.arrays[i], /*finite=*/false));
      tensors.push_back({TensorName(file.array_names[i], block.block), block.arrays[i], of_array});
    }
  }
  return tensors;
}

SafetensorsMetadata MetadataOf(const ShardFile& file, const std::vector<Tensor>& tensors) {
  SafetensorsMetadata metadata = {{"format", absl::StrCat("shoal-", kCheckpointFormat)},
                                  {"job", absl::StrCat(file.job)},
                                  {"version", absl::StrCat(file.version.value())},
                                  {"shard", absl::StrCat(file.shard)},
                                  {"shards", absl::StrCat(file.shards)}};
  for (const Tensor& tensor : tensors) {
    metadata[absl::StrCat(kCrcPrefix, tensor.name)] = absl::StrFormat("%08x", tensor.crc32c);
  }
  return metadata;
}

absl::StatusOr<std::string> WriteTensors(Env* env, const std::string& path, const ShardFile& file,
                                         const std::vector<Tensor>& tensors) {
  std::vector<SafetensorsEntry> entries;
  for (const Tensor& tensor : tensors) {
    entries.push_back({tensor.name, SafetensorsType::kF32, {tensor.values.size()}, 0});
  }
  SHOAL_ASSIGN_OR_RETURN(SafetensorsWriter writer,
                         SafetensorsWriter::Create(env, path, std::move(entries), MetadataOf(file, tensors)));
  for (const Tensor& tensor : tensors) SHOAL_RETURN_IF_ERROR(writer.Append(tensor.values));
  return writer.Finish();
}

// "version-120" -> 120.
bool ParseCheckpointName(absl::string_view name, Version* version) {
  uint64_t number = 0;
  if (!absl::ConsumePrefix(&name, kVersionPrefix) || !absl::SimpleAtoi(name, &number)) return false;
  *version = Version(number);
  return name == absl::StrCat(number);
}

// "version-120.3.partial" -> 3. A committed version that is being deleted ("version-120.partial") has 0.
bool ParsePartialName(absl::string_view name, RestoreId* restore_id) {
  Version version;
  *restore_id = RestoreId(0);
  if (!absl::ConsumeSuffix(&name, kPartialSuffix)) return false;
  if (ParseCheckpointName(name, &version)) return true;
  const size_t dot = name.rfind('.');
  uint64_t number = 0;
  if (dot == name.npos || !absl::SimpleAtoi(name.substr(dot + 1), &number)) return false;
  *restore_id = RestoreId(number);
  return ParseCheckpointName(name.substr(0, dot), &version);
}

bool HasShardFiles(Env* env, const std::string& folder) {
  const auto names = env->ListDir(folder);
  return names.ok() && std::any_of(names->begin(), names->end(), [](const std::string& name) {
           return absl::StartsWith(name, kShardPrefix);
         });
}

// Deletes shard files that `manifest` does not name. One that can't be removed does no harm.
void DeleteOtherShardFiles(Env* env, const std::string& folder, const CheckpointManifest& manifest) {
  const auto names = env->ListDir(folder);
  if (!names.ok()) return;
  for (const std::string& name : *names) {
    const bool named = std::any_of(manifest.shards().begin(), manifest.shards().end(),
                                   [&](const CheckpointShard& shard) { return shard.file() == name; });
    if (!named && absl::StartsWith(name, kShardPrefix)) (void)env->DeleteFile(JoinPath(folder, name));
  }
}

// A small file as a whole. Errors: DATA_LOSS when it is too large to belong to a checkpoint; those of the
// Env.
absl::StatusOr<std::string> ReadText(Env* env, const std::string& path) {
  SHOAL_ASSIGN_OR_RETURN(const uint64_t bytes, env->FileSize(path));
  if (bytes > kMaxCheckpointTextBytes)
    return absl::DataLossError(absl::StrCat(path, ": damaged: ", bytes, " bytes"));
  return env->ReadFile(path);
}

absl::Status MarkFolder(Env* env, const std::string& folder) {
  const std::string mark = JoinPath(folder, kMark);
  if (env->FileExists(mark)) return absl::OkStatus();
  return env->WriteFileAtomic(mark, "Shoal keeps checkpoints in this folder.\n");
}

// OK when the files at `path` can be read and are what the servers have reported. Fills in what only the
// files say.
absl::Status VerifyWritten(Env* env, const std::string& path, CheckpointManifest* manifest) {
  SHOAL_ASSIGN_OR_RETURN(const CheckpointReader reader, CheckpointReader::Open(env, path, *manifest));
  SHOAL_RETURN_IF_ERROR(reader.Verify().status());
  for (int i = 0; i < manifest->shards_size(); ++i) {
    manifest->mutable_shards(i)->set_header_sha256(Sha256Hex(reader.HeaderOf(i)));
  }
  manifest->mutable_moments()->Assign(reader.array_names().begin(), reader.array_names().end());
  return absl::OkStatus();
}

// OK when the existing version is intact and is the one to be committed. Errors: as CommitCheckpoint; the
// reason why it can't be read.
absl::Status VerifyCommitted(Env* env, const std::string& path, const CheckpointManifest& wanted) {
  SHOAL_ASSIGN_OR_RETURN(CheckpointManifest manifest, ReadManifest(env, path));
  SHOAL_RETURN_IF_ERROR(Annotate(CheckSameCheckpoint(manifest, wanted), path));
  SHOAL_ASSIGN_OR_RETURN(const CheckpointReader reader,
                         CheckpointReader::Open(env, path, std::move(manifest)));
  return reader.Verify().status();
}

}  // namespace

bool IsCheckpointDamage(const absl::Status& status) {
  return absl::IsDataLoss(status) || absl::IsNotFound(status);
}

bool IsStorageTrouble(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsPermissionDenied(status);
}

bool IsUnreadable(const absl::Status& status) { return absl::IsUnknown(status) || absl::IsInternal(status); }

bool MayBeWrittenLater(const absl::Status& status) {
  return absl::IsResourceExhausted(status) || IsStorageTrouble(status);
}

std::string CheckpointName(Version version) { return absl::StrCat(kVersionPrefix, version.value()); }

std::string PartialCheckpointName(Version version, RestoreId restore_id) {
  return absl::StrCat(CheckpointName(version), ".", restore_id.value(), kPartialSuffix);
}

// ---- writing ----

absl::StatusOr<CheckpointShard> WriteShardFile(Env* env, const std::string& folder, const ShardFile& file) {
  SHOAL_ASSIGN_OR_RETURN(const std::vector<Tensor> tensors, TensorsOf(file));
  const std::string partial = JoinPath(folder, PartialCheckpointName(file.version, file.restore_id));
  SHOAL_RETURN_IF_ERROR(env->CreateDirs(partial));
  CheckpointShard shard;
  shard.set_file(ShardFileName(file.shard, file.shards));
  const std::string path = JoinPath(partial, shard.file());
  // Under a name of its own until it is complete, so that a replaced server can't corrupt its successor's
  // file.
  const std::string unfinished = absl::StrCat(path, ".", file.job, ".", file.writer, ".tmp");
  const absl::StatusOr<std::string> sha256 = WriteTensors(env, unfinished, file, tensors);
  if (absl::IsResourceExhausted(sha256.status()))
    (void)env->DeleteFile(unfinished);  // it takes up the full disk
  SHOAL_RETURN_IF_ERROR(sha256.status());
  SHOAL_ASSIGN_OR_RETURN(const uint64_t bytes, env->FileSize(unfinished));
  SHOAL_RETURN_IF_ERROR(env->Rename(unfinished, path));
  SHOAL_RETURN_IF_ERROR(env->SyncDir(partial));
  shard.set_bytes(bytes);
  shard.set_sha256(*sha256);
  for (const Tensor& tensor : tensors) shard.add_block_crc32c(tensor.crc32c);
  return shard;
}

// ---- committing and finding ----

absl::StatusOr<std::string> CommitCheckpoint(Env* env, const std::string& folder, CheckpointManifest manifest,
                                             const std::string& history, RestoreId restore_id) {
  manifest.set_format(kCheckpointFormat);
  const Version version(manifest.version());
  const std::string final_path = JoinPath(folder, CheckpointName(version));
  const std::string partial = JoinPath(folder, PartialCheckpointName(version, restore_id));
  const bool is_there = env->FileExists(final_path);
  if (is_there) {
    const absl::Status there = VerifyCommitted(env, final_path, manifest);
    if (there.ok()) {
      SHOAL_RETURN_IF_ERROR(env->SyncDir(folder));  // an earlier call may have stopped after the rename
      SHOAL_RETURN_IF_ERROR(env->DeleteTree(partial));
      return final_path;
    }
    if (!IsCheckpointDamage(there) && !IsUnreadable(there)) return there;
  }
  if (!env->FileExists(partial)) {
    SHOAL_RETURN_IF_ERROR(CheckStorage(env, folder));
    return absl::DataLossError(
        absl::StrCat(partial, ", which servers have written, is not visible here: they and the ",
                     "scheduler must see the same storage under ", folder));
  }
  SHOAL_RETURN_IF_ERROR(VerifyWritten(env, partial, &manifest));
  if (is_there) SHOAL_RETURN_IF_ERROR(SetCheckpointAside(env, final_path).status());
  DeleteOtherShardFiles(env, partial, manifest);
  if (!history.empty()) {
    SHOAL_RETURN_IF_ERROR(env->WriteFileAtomic(JoinPath(partial, kHistoryName), history));
    manifest.set_history_sha256(Sha256Hex(history));
  }
  SHOAL_RETURN_IF_ERROR(
      env->WriteFileAtomic(JoinPath(partial, kManifestName), FormatManifest(std::move(manifest))));
  SHOAL_RETURN_IF_ERROR(MarkFolder(env, folder));
  SHOAL_RETURN_IF_ERROR(env->Rename(partial, final_path));
  SHOAL_RETURN_IF_ERROR(env->SyncDir(folder));
  return final_path;
}

absl::Status CheckStorage(Env* env, const std::string& folder) {
  const auto names = env->ListDir(folder);
  const bool is_there = names.ok() && std::any_of(names->begin(), names->end(), [](const std::string& name) {
                          return !absl::EndsWith(name, kPartialSuffix);
                        });
  if (is_there) return absl::OkStatus();
  const std::string what = absl::IsNotFound(names.status()) ? "is missing"
                           : names.ok()                     ? "is empty"
                                                            : std::string(names.status().message());
  return absl::UnavailableError(
      absl::StrCat("the storage of the checkpoints is not there: ", folder, " ", what,
                   ", though checkpoints were written to it: mount it, or put ", "the folder back"));
}

absl::StatusOr<std::vector<Version>> ListCheckpoints(Env* env, const std::string& folder) {
  std::vector<Version> versions;
  const auto names = env->ListDir(folder);
  if (absl::IsNotFound(names.status())) return versions;
  SHOAL_RETURN_IF_ERROR(names.status());
  for (const std::string& name : *names) {
    Version version;
    if (ParseCheckpointName(name, &version)) versions.push_back(version);
  }
  std::sort(versions.begin(), versions.end());
  return versions;
}

absl::StatusOr<CheckpointManifest> ReadManifest(Env* env, const std::string& checkpoint) {
  const std::string path = JoinPath(checkpoint, kManifestName);
  const absl::StatusOr<std::string> text = ReadText(env, path);
  if (absl::IsNotFound(text.status())) {
    if (HasShardFiles(env, checkpoint)) {
      return absl::DataLossError(
          absl::StrCat(checkpoint, ": damaged: it has shard files, but no ", kManifestName));
    }
    return absl::NotFoundError(absl::StrCat(checkpoint, " is not a checkpoint: it has no ", kManifestName));
  }
  SHOAL_RETURN_IF_ERROR(text.status());
  auto manifest = ParseManifest(*text);
  if (!manifest.ok()) return Annotate(manifest.status(), path);
  Version version;
  if (ParseCheckpointName(BaseName(checkpoint), &version) && version.value() != manifest->version()) {
    return absl::DataLossError(absl::StrCat(path, ": damaged: its version is ", manifest->version()));
  }
  return manifest;
}

absl::StatusOr<std::string> ReadCheckpointHistory(Env* env, const std::string& checkpoint,
                                                  const CheckpointManifest& manifest) {
  const std::string path = JoinPath(checkpoint, kHistoryName);
  const bool named = !manifest.history_sha256().empty();
  if (!named && (manifest.format() > 1 || !env->FileExists(path))) return "";
  const absl::StatusOr<std::string> text = ReadText(env, path);
  if (absl::IsNotFound(text.status())) return absl::DataLossError(absl::StrCat(path, " is missing"));
  SHOAL_RETURN_IF_ERROR(text.status());
  if (named && Sha256Hex(*text) != manifest.history_sha256()) {
    return absl::DataLossError(absl::StrCat(path, ": damaged: its SHA-256 does not match the manifest"));
  }
  return text;
}

absl::StatusOr<std::string> SetCheckpointAside(Env* env, const std::string& checkpoint) {
  return SetAside(env, checkpoint, kDamagedSuffix);
}

absl::Status DeleteCheckpoint(Env* env, const std::string& folder, Version version) {
  // Renamed first, so that what a crash leaves behind is not taken for a checkpoint.
  const std::string path = JoinPath(folder, CheckpointName(version));
  const std::string going = absl::StrCat(path, kPartialSuffix);
  SHOAL_RETURN_IF_ERROR(env->DeleteTree(going));
  if (!env->FileExists(path)) return absl::OkStatus();
  SHOAL_RETURN_IF_ERROR(env->Rename(path, going));
  return env->DeleteTree(going);
}

absl::Status DeleteCheckpointParts(Env* env, const std::string& folder, Version version,
                                   RestoreId restore_id) {
  return env->DeleteTree(JoinPath(folder, PartialCheckpointName(version, restore_id)));
}

absl::Status DeletePartialCheckpoints(Env* env, const std::string& folder,
                                      std::optional<RestoreId> before_restore) {
  if (!env->FileExists(folder)) return absl::OkStatus();
  SHOAL_ASSIGN_OR_RETURN(const std::vector<std::string> names, env->ListDir(folder));
  for (const std::string& name : names) {
    RestoreId restore_id;
    if (!ParsePartialName(name, &restore_id) || (before_restore && restore_id >= *before_restore)) continue;
    SHOAL_RETURN_IF_ERROR(env->DeleteTree(JoinPath(folder, name)));
  }
  return absl::OkStatus();
}

}  // namespace shoal
