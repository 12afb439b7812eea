#include "common/checkpoint.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "common/crc32c.h"
#include "common/sha256.h"
#include "common/status.h"
#include "google/protobuf/util/json_util.h"

namespace shoal {
namespace {

constexpr char kManifestName[] = "manifest.json";
constexpr char kVersionPrefix[] = "version-";
constexpr char kShardPrefix[] = "shard-";
constexpr char kPartialSuffix[] = ".partial";
constexpr char kCrcPrefix[] = "crc32c.";
constexpr char kTheta[] = "theta";
// θ is read in pieces of this size when only its digest is wanted.
constexpr uint64_t kMostBlockElements = uint64_t{1} << 28;

std::string TensorName(absl::string_view name, BlockId block) {
  return absl::StrCat(name, ".", block.value());
}

absl::Span<const uint8_t> BytesOf(absl::Span<const float> values) {
  return {reinterpret_cast<const uint8_t*>(values.data()), values.size() * sizeof(float)};
}

struct Tensor {
  std::string name;
  absl::Span<const float> values;
};

// In the order in which they are written.
std::vector<Tensor> TensorsOf(const ShardFile& file) {
  std::vector<Tensor> tensors;
  for (const BlockToWrite& block : file.blocks) {
    SHOAL_CHECK(block.moments.size() == file.moment_names.size());
    tensors.push_back({TensorName(kTheta, block.block), block.theta});
    for (size_t i = 0; i < block.moments.size(); ++i) {
      tensors.push_back({TensorName(file.moment_names[i], block.block), block.moments[i]});
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
    metadata[absl::StrCat(kCrcPrefix, tensor.name)] = absl::StrFormat("%08x", Crc32c(BytesOf(tensor.values)));
  }
  return metadata;
}

absl::StatusOr<std::string> WriteTensors(Env* env, const std::string& path, const ShardFile& file) {
  const std::vector<Tensor> tensors = TensorsOf(file);
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

absl::Status CheckShardFiles(Env* env, const std::string& folder, const CheckpointManifest& manifest) {
  for (const CheckpointShard& shard : manifest.shards()) {
    const std::string path = JoinPath(folder, shard.file());
    const absl::StatusOr<uint64_t> bytes = env->FileSize(path);
    if (!bytes.ok() || *bytes != shard.bytes()) {
      return absl::FailedPreconditionError(
          absl::StrCat("checkpoint file ", path, ": expected ", shard.bytes(), " bytes, ",
                       bytes.ok() ? absl::StrCat("it has ", *bytes) : std::string(bytes.status().message())));
    }
  }
  return absl::OkStatus();
}

// Whether `wanted` is what is committed at `path`. The same job cut into another number of shards has other
// files with the same θ.
absl::Status CheckSame(const std::string& path, const CheckpointManifest& there,
                       const CheckpointManifest& wanted) {
  if (there.job() != wanted.job() || there.spec_sha256() != wanted.spec_sha256() ||
      there.parameters() != wanted.parameters()) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, " is of another job (", there.job(), ", ", there.job_name(), ", ",
                     there.spec_sha256().substr(0, 12), "), not of job ", wanted.job(), " (",
                     wanted.spec_sha256().substr(0, 12), "): give each job a checkpoint folder of its own"));
  }
  if (there.shards_size() != wanted.shards_size()) return absl::OkStatus();
  for (int i = 0; i < there.shards_size(); ++i) {
    if (there.shards(i).sha256() == wanted.shards(i).sha256()) continue;
    return absl::FailedPreconditionError(absl::StrCat(
        path, ": ", there.shards(i).file(), " has SHA-256 ", there.shards(i).sha256(),
        ", the same version written again ", wanted.shards(i).sha256(), ": is it of another training?"));
  }
  return absl::OkStatus();
}

// Files of a shard that `manifest` does not name. One that can't be removed does no harm.
void DeleteOtherShardFiles(Env* env, const std::string& folder, const CheckpointManifest& manifest) {
  const auto names = env->ListDir(folder);
  if (!names.ok()) return;
  for (const std::string& name : *names) {
    const bool named = std::any_of(manifest.shards().begin(), manifest.shards().end(),
                                   [&](const CheckpointShard& shard) { return shard.file() == name; });
    if (!named && absl::StartsWith(name, kShardPrefix)) (void)env->DeleteFile(JoinPath(folder, name));
  }
}

absl::Status CheckManifest(const std::string& path, const CheckpointManifest& manifest) {
  if (manifest.format() != kCheckpointFormat) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": checkpoint format ", manifest.format(),
                                                   "; this version of shoal reads ", kCheckpointFormat));
  }
  if (manifest.shards().empty()) return absl::InvalidArgumentError(absl::StrCat(path, ": no shards"));
  for (const CheckpointShard& shard : manifest.shards()) {
    if (shard.file().empty() || BaseName(shard.file()) != shard.file()) {
      return absl::InvalidArgumentError(absl::StrCat(path, ": \"", shard.file(), "\" is not a file name"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

std::string ShardFileName(uint32_t shard, uint32_t shards) {
  return absl::StrCat(kShardPrefix, shard, "-of-", shards, ".safetensors");
}

std::string CheckpointName(Version version) { return absl::StrCat(kVersionPrefix, version.value()); }

std::string PartialCheckpointName(Version version) {
  return absl::StrCat(CheckpointName(version), kPartialSuffix);
}

// ---- writing ----

absl::StatusOr<CheckpointShard> WriteShardFile(Env* env, const std::string& folder, const ShardFile& file) {
  const std::string partial = JoinPath(folder, PartialCheckpointName(file.version));
  SHOAL_RETURN_IF_ERROR(env->CreateDirs(partial));
  CheckpointShard shard;
  shard.set_file(ShardFileName(file.shard, file.shards));
  const std::string path = JoinPath(partial, shard.file());
  // Under a name of its own until it is whole, so that a server that was given up can't tear its successor's
  // file.
  const std::string unfinished = absl::StrCat(path, ".", file.job, ".", file.writer, ".tmp");
  SHOAL_ASSIGN_OR_RETURN(const std::string sha256, WriteTensors(env, unfinished, file));
  SHOAL_ASSIGN_OR_RETURN(const uint64_t bytes, env->FileSize(unfinished));
  SHOAL_RETURN_IF_ERROR(env->Rename(unfinished, path));
  SHOAL_RETURN_IF_ERROR(env->SyncDir(partial));
  shard.set_bytes(bytes);
  shard.set_sha256(sha256);
  return shard;
}

// ---- committing and finding ----

absl::StatusOr<std::string> CommitCheckpoint(Env* env, const std::string& folder,
                                             const CheckpointManifest& manifest) {
  const Version version(manifest.version());
  const std::string final_path = JoinPath(folder, CheckpointName(version));
  const std::string partial = JoinPath(folder, PartialCheckpointName(version));
  if (env->FileExists(final_path)) {
    SHOAL_ASSIGN_OR_RETURN(const CheckpointManifest there, ReadManifest(env, final_path));
    SHOAL_RETURN_IF_ERROR(CheckSame(final_path, there, manifest));
    SHOAL_RETURN_IF_ERROR(env->DeleteTree(partial));
    return final_path;
  }
  SHOAL_RETURN_IF_ERROR(CheckShardFiles(env, partial, manifest));
  DeleteOtherShardFiles(env, partial, manifest);
  std::string json;
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.preserve_proto_field_names = true;
  SHOAL_CHECK(google::protobuf::util::MessageToJsonString(manifest, &json, options).ok());
  SHOAL_RETURN_IF_ERROR(env->WriteFileAtomic(JoinPath(partial, kManifestName), json));
  SHOAL_RETURN_IF_ERROR(env->Rename(partial, final_path));
  SHOAL_RETURN_IF_ERROR(env->SyncDir(folder));
  return final_path;
}

absl::StatusOr<std::vector<Version>> ListCheckpoints(Env* env, const std::string& folder) {
  std::vector<Version> versions;
  if (!env->FileExists(folder)) return versions;
  SHOAL_ASSIGN_OR_RETURN(const std::vector<std::string> names, env->ListDir(folder));
  for (const std::string& name : names) {
    Version version;
    if (ParseCheckpointName(name, &version)) versions.push_back(version);
  }
  std::sort(versions.begin(), versions.end());
  return versions;
}

absl::StatusOr<CheckpointManifest> ReadManifest(Env* env, const std::string& checkpoint) {
  const std::string path = JoinPath(checkpoint, kManifestName);
  absl::StatusOr<std::string> json = env->ReadFile(path);
  if (absl::IsNotFound(json.status())) {
    return absl::NotFoundError(absl::StrCat(checkpoint, " is no checkpoint: it has no ", kManifestName));
  }
  SHOAL_RETURN_IF_ERROR(json.status());
  CheckpointManifest manifest;
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = true;  // the format number decides
  const auto parsed = google::protobuf::util::JsonStringToMessage(*json, &manifest, options);
  if (!parsed.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": damaged: ", std::string(parsed.message())));
  }
  SHOAL_RETURN_IF_ERROR(CheckManifest(path, manifest));
  return manifest;
}

absl::Status DeleteCheckpoint(Env* env, const std::string& folder, Version version) {
  // Renamed first: what a crash leaves behind is then no checkpoint.
  const std::string path = JoinPath(folder, CheckpointName(version));
  const std::string partial = JoinPath(folder, PartialCheckpointName(version));
  SHOAL_RETURN_IF_ERROR(env->DeleteTree(partial));
  if (!env->FileExists(path)) return absl::OkStatus();
  SHOAL_RETURN_IF_ERROR(env->Rename(path, partial));
  return env->DeleteTree(partial);
}

absl::Status DeletePartialCheckpoints(Env* env, const std::string& folder) {
  if (!env->FileExists(folder)) return absl::OkStatus();
  SHOAL_ASSIGN_OR_RETURN(const std::vector<std::string> names, env->ListDir(folder));
  for (const std::string& name : names) {
    Version version;
    absl::string_view stem = name;
    if (!absl::ConsumeSuffix(&stem, kPartialSuffix) || !ParseCheckpointName(stem, &version)) continue;
    SHOAL_RETURN_IF_ERROR(env->DeleteTree(JoinPath(folder, name)));
  }
  return absl::OkStatus();
}

// ---- reading ----

absl::StatusOr<CheckpointReader> CheckpointReader::Open(Env* env, const std::string& checkpoint) {
  CheckpointReader reader;
  reader.env_ = env;
  reader.path_ = checkpoint;
  SHOAL_ASSIGN_OR_RETURN(reader.manifest_, ReadManifest(env, checkpoint));
  for (const CheckpointShard& shard : reader.manifest_.shards())
    SHOAL_RETURN_IF_ERROR(reader.AddShard(shard));
  SHOAL_RETURN_IF_ERROR(reader.IndexTheta());
  return reader;
}

absl::Status CheckpointReader::AddShard(const CheckpointShard& shard) {
  const std::string path = JoinPath(path_, shard.file());
  SHOAL_ASSIGN_OR_RETURN(const uint64_t bytes, env_->FileSize(path));
  if (bytes != shard.bytes()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": ", bytes, " bytes, the manifest says ", shard.bytes()));
  }
  SHOAL_ASSIGN_OR_RETURN(SafetensorsReader opened, SafetensorsReader::Open(env_, path));
  files_.push_back(std::make_unique<SafetensorsReader>(std::move(opened)));
  const SafetensorsReader& file = *files_.back();
  for (const SafetensorsEntry& entry : file.entries()) {
    const auto crc_text = file.metadata().find(absl::StrCat(kCrcPrefix, entry.name));
    uint32_t crc = 0;
    if (entry.type != SafetensorsType::kF32 || entry.shape.size() != 1 || crc_text == file.metadata().end() ||
        !absl::SimpleHexAtoi(crc_text->second, &crc)) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": tensor ", entry.name, " is not one of a checkpoint"));
    }
    const Location location = {static_cast<uint32_t>(files_.size() - 1), &entry, crc};
    if (!tensors_.emplace(entry.name, location).second) {
      return absl::InvalidArgumentError(absl::StrCat(path, ": tensor ", entry.name, " is in two shards"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckpointReader::IndexTheta() {
  uint64_t elements = 0;
  while (true) {
    const auto found = tensors_.find(TensorName(kTheta, BlockId(block_sizes_.size())));
    if (found == tensors_.end()) break;
    const uint64_t size = found->second.entry->elements();
    if (size > kMostBlockElements) {
      return absl::InvalidArgumentError(
          absl::StrCat(path_, ": block ", block_sizes_.size(), " is too large"));
    }
    block_sizes_.push_back(size);
    elements += size;
  }
  if (elements != manifest_.parameters()) {
    return absl::InvalidArgumentError(absl::StrCat(
        path_, ": the blocks hold ", elements, " parameters, the manifest says ", manifest_.parameters()));
  }
  return absl::OkStatus();
}

absl::Status CheckpointReader::ReadBlock(absl::string_view name, BlockId block, absl::Span<float> out) const {
  const std::string tensor = TensorName(name, block);
  const auto found = tensors_.find(tensor);
  if (found == tensors_.end()) return absl::NotFoundError(absl::StrCat(path_, ": no tensor ", tensor));
  const Location& location = found->second;
  if (location.entry->elements() != out.size()) {
    return absl::InvalidArgumentError(absl::StrCat(
        path_, ": tensor ", tensor, " has ", location.entry->elements(), " elements, expected ", out.size()));
  }
  SHOAL_RETURN_IF_ERROR(files_[location.file]->ReadFloats(*location.entry, 0, out));
  if (Crc32c(BytesOf(out)) != location.crc32c) {
    return absl::DataLossError(absl::StrCat(path_, ": tensor ", tensor, " is damaged (checksum)"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<float>> CheckpointReader::ReadTheta() const {
  std::vector<float> theta(manifest_.parameters());
  uint64_t offset = 0;
  for (size_t block = 0; block < block_sizes_.size(); ++block) {
    SHOAL_RETURN_IF_ERROR(
        ReadBlock(kTheta, BlockId(block), absl::MakeSpan(theta.data() + offset, block_sizes_[block])));
    offset += block_sizes_[block];
  }
  return theta;
}

absl::StatusOr<std::string> CheckpointReader::ThetaSha256() const {
  Sha256 sha256;
  std::vector<float> values;
  for (size_t block = 0; block < block_sizes_.size(); ++block) {
    values.resize(block_sizes_[block]);
    SHOAL_RETURN_IF_ERROR(ReadBlock(kTheta, BlockId(block), absl::MakeSpan(values)));
    sha256.Add(values.data(), values.size() * sizeof(float));
  }
  return sha256.HexDigest();
}

absl::Status CheckpointReader::VerifyFiles() const {
  for (const CheckpointShard& shard : manifest_.shards()) {
    const std::string path = JoinPath(path_, shard.file());
    SHOAL_ASSIGN_OR_RETURN(const std::string sha256, env_->Sha256OfFile(path));
    if (sha256 != shard.sha256()) {
      return absl::DataLossError(
          absl::StrCat(path, ": SHA-256 ", sha256, ", the manifest says ", shard.sha256()));
    }
  }
  return absl::OkStatus();
}

}  // namespace shoal
