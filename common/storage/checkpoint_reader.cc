#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "common/base/crc32c.h"
#include "common/base/status.h"
#include "common/storage/checkpoint.h"

namespace shoal {
namespace {

constexpr char kTheta[] = "theta";
// Verifying everything holds one block at a time in memory.
constexpr uint64_t kMaxBlockElementsRead = uint64_t{1} << 28;

absl::Span<const uint8_t> BytesOf(absl::Span<const float> values) {
  return {reinterpret_cast<const uint8_t*>(values.data()), values.size() * sizeof(float)};
}

absl::string_view TextOf(absl::Span<const float> values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)};
}

std::string TensorName(absl::string_view name, uint64_t block) { return absl::StrCat(name, ".", block); }

absl::Status Damaged(const std::string& path, absl::string_view problem) {
  return absl::DataLossError(absl::StrCat(path, ": damaged: ", problem));
}

// A file that is missing, ends too early or is malformed means that the checkpoint is damaged, not that the
// machine failed.
absl::Status AsDamage(const absl::Status& status) {
  if (absl::IsNotFound(status) || absl::IsOutOfRange(status) || absl::IsInvalidArgument(status)) {
    return absl::DataLossError(absl::StrCat("damaged: ", status.message()));
  }
  return status;
}

}  // namespace

absl::StatusOr<CheckpointReader> CheckpointReader::Open(Env* env, const std::string& checkpoint) {
  SHOAL_ASSIGN_OR_RETURN(CheckpointManifest manifest, ReadManifest(env, checkpoint));
  return Open(env, checkpoint, std::move(manifest));
}

absl::StatusOr<CheckpointReader> CheckpointReader::Open(Env* env, const std::string& checkpoint,
                                                        CheckpointManifest manifest) {
  CheckpointReader reader;
  reader.env_ = env;
  reader.path_ = checkpoint;
  reader.manifest_ = std::move(manifest);
  for (int i = 0; i < reader.manifest_.shards_size(); ++i) SHOAL_RETURN_IF_ERROR(reader.AddShard(i));
  SHOAL_RETURN_IF_ERROR(reader.IndexBlocks());
  return reader;
}

absl::Status CheckpointReader::AddShard(int index) {
  const CheckpointShard& shard = manifest_.shards(index);
  const std::string path = JoinPath(path_, shard.file());
  const absl::StatusOr<uint64_t> bytes = env_->FileSize(path);
  if (!bytes.ok()) return AsDamage(bytes.status());
  if (*bytes != shard.bytes()) return Damaged(path, absl::StrCat(*bytes, " bytes, expected ", shard.bytes()));
  absl::StatusOr<SafetensorsReader> opened = SafetensorsReader::Open(env_, path);
  if (!opened.ok()) return AsDamage(opened.status());
  files_.push_back(std::make_unique<SafetensorsReader>(*std::move(opened)));
  const SafetensorsReader& file = *files_.back();
  if (!shard.header_sha256().empty() && Sha256Hex(file.header()) != shard.header_sha256()) {
    return Damaged(path, "its header does not match the manifest");
  }
  SHOAL_RETURN_IF_ERROR(CheckMetadata(index, file));
  if (manifest_.format() != 1 && shard.block_crc32c_size() != static_cast<int>(file.entries().size())) {
    return Damaged(path,
                   absl::StrCat(file.entries().size(), " tensors, expected ", shard.block_crc32c_size()));
  }
  for (size_t i = 0; i < file.entries().size(); ++i)
    SHOAL_RETURN_IF_ERROR(AddTensor(index, static_cast<int>(i)));
  return absl::OkStatus();
}

// OK when the file claims to be this shard of this version of this job.
absl::Status CheckpointReader::CheckMetadata(int index, const SafetensorsReader& file) const {
  const uint32_t format = manifest_.format() == 1 ? 1 : kCheckpointFormat;
  const SafetensorsMetadata expected = {{"format", absl::StrCat("shoal-", format)},
                                        {"job", absl::StrCat(manifest_.job())},
                                        {"version", absl::StrCat(manifest_.version())},
                                        {"shard", absl::StrCat(index)},
                                        {"shards", absl::StrCat(manifest_.shards_size())}};
  for (const auto& [key, value] : expected) {
    const auto found = file.metadata().find(key);
    if (found != file.metadata().end() && found->second == value) continue;
    return Damaged(
        JoinPath(path_, manifest_.shards(index).file()),
        absl::StrCat("its ", key, " is ", found == file.metadata().end() ? "missing" : found->second,
                     ", expected ", value));
  }
  return absl::OkStatus();
}

absl::Status CheckpointReader::AddTensor(int index, int position) {
  const CheckpointShard& shard = manifest_.shards(index);
  const SafetensorsReader& file = *files_[index];
  const SafetensorsEntry& entry = file.entries()[position];
  const std::string path = JoinPath(path_, shard.file());
  const auto text = file.metadata().find(absl::StrCat("crc32c.", entry.name));
  uint32_t crc = 0;
  if (entry.type != SafetensorsType::kF32 || entry.shape.size() != 1 || text == file.metadata().end() ||
      !absl::SimpleHexAtoi(text->second, &crc) || text->second != absl::StrFormat("%08x", crc)) {
    return Damaged(path, absl::StrCat("tensor ", entry.name, " is not a vector of F32 with a checksum"));
  }
  if (manifest_.format() != 1 && crc != shard.block_crc32c(position)) {
    return Damaged(path,
                   absl::StrCat("tensor ", entry.name, " has a checksum that does not match the manifest"));
  }
  if (!tensors_.emplace(entry.name, Location{static_cast<uint32_t>(index), &entry, crc}).second) {
    return Damaged(path, absl::StrCat("tensor ", entry.name, " is in two shards"));
  }
  return absl::OkStatus();
}

// Each file must hold its shard's blocks in order, θ before its arrays, and nothing else.
absl::Status CheckpointReader::IndexBlocks() {
  if (files_.empty()) return Damaged(path_, "no shards");
  const ShardMap map(static_cast<uint32_t>(files_.size()));
  for (const SafetensorsEntry& entry : files_[0]->entries()) {
    absl::string_view name = entry.name;
    if (absl::ConsumeSuffix(&name, ".0") && name != kTheta) array_names_.emplace_back(name);
  }
  const size_t tensors_per_block = 1 + array_names_.size();
  size_t tensors = 0;
  for (const auto& file : files_) tensors += file->entries().size();
  if (tensors == 0 || tensors % tensors_per_block != 0) return Damaged(path_, "a block is not complete");
  uint64_t elements = 0;
  for (uint64_t block = 0; block < tensors / tensors_per_block; ++block) {
    const std::vector<SafetensorsEntry>& entries = files_[map.ShardOf(BlockId(block))]->entries();
    const size_t first = map.PlaceOf(BlockId(block)) * tensors_per_block;
    for (size_t i = 0; i < tensors_per_block; ++i) {
      const std::string name = TensorName(i == 0 ? kTheta : array_names_[i - 1], block);
      if (first + i >= entries.size() || entries[first + i].name != name)
        return Damaged(path_, absl::StrCat("tensor ", name, " is not where it belongs"));
      const uint64_t size = entries[first + i].elements();
      if (size == 0 || size > kMaxBlockElementsRead)
        return Damaged(path_, absl::StrCat("tensor ", name, " has ", size, " elements"));
    }
    block_sizes_.push_back(entries[first].elements());
    elements += block_sizes_.back();
  }
  if (elements == manifest_.parameters()) return absl::OkStatus();
  return Damaged(path_, absl::StrCat("its blocks hold ", elements, " parameters, the manifest says ",
                                     manifest_.parameters()));
}

absl::Status CheckpointReader::ReadBlock(absl::string_view name, BlockId block, absl::Span<float> out) const {
  const std::string tensor = TensorName(name, block.value());
  const auto found = tensors_.find(tensor);
  if (found == tensors_.end()) return absl::InvalidArgumentError(absl::StrCat(path_, ": no tensor ", tensor));
  const Location& location = found->second;
  if (location.entry->elements() != out.size()) {
    return absl::InvalidArgumentError(absl::StrCat(
        path_, ": tensor ", tensor, " has ", location.entry->elements(), " elements, expected ", out.size()));
  }
  SHOAL_RETURN_IF_ERROR(AsDamage(files_[location.file]->ReadFloats(*location.entry, 0, out)));
  if (Crc32c(BytesOf(out)) == location.crc32c) return absl::OkStatus();
  return Damaged(JoinPath(path_, manifest_.shards(static_cast<int>(location.file)).file()),
                 absl::StrCat("tensor ", tensor, " does not match its checksum"));
}

uint64_t CheckpointReader::SizeOf(absl::string_view name, BlockId block) const {
  const auto found = tensors_.find(TensorName(name, block.value()));
  return found == tensors_.end() ? 0 : found->second.entry->elements();
}

absl::StatusOr<std::vector<float>> CheckpointReader::ReadTheta(absl::string_view name) const {
  std::vector<float> theta(manifest_.parameters());
  uint64_t offset = 0;
  for (size_t block = 0; block < block_sizes_.size(); ++block) {
    SHOAL_RETURN_IF_ERROR(
        ReadBlock(name, BlockId(block), absl::MakeSpan(theta.data() + offset, block_sizes_[block])));
    offset += block_sizes_[block];
  }
  return theta;
}

absl::StatusOr<std::string> CheckpointReader::Verify() const {
  SHOAL_RETURN_IF_ERROR(ReadCheckpointHistory(env_, path_, manifest_).status());
  const ShardMap map(static_cast<uint32_t>(manifest_.shards_size()));
  std::vector<ShardFileReader> shards;
  for (int i = 0; i < manifest_.shards_size(); ++i) shards.emplace_back(this, i);
  Sha256 sha256;
  std::vector<float> theta;
  std::vector<std::vector<float>> arrays(array_names_.size());
  for (size_t block = 0; block < block_sizes_.size(); ++block) {
    theta.resize(block_sizes_[block]);
    std::vector<absl::Span<float>> spans;
    for (size_t i = 0; i < arrays.size(); ++i) {
      arrays[i].resize(SizeOf(array_names_[i], BlockId(block)));
      spans.push_back(absl::MakeSpan(arrays[i]));
    }
    SHOAL_RETURN_IF_ERROR(shards[map.ShardOf(BlockId(block))].ReadNext(absl::MakeSpan(theta), spans));
    sha256.Add(TextOf(theta));
  }
  return sha256.HexDigest();
}

ShardFileReader::ShardFileReader(const CheckpointReader* checkpoint, int shard)
    : checkpoint_(checkpoint),
      shard_(shard),
      blocks_(ShardMap(static_cast<uint32_t>(checkpoint->files_.size()))
                  .BlocksOf(static_cast<uint32_t>(shard), checkpoint->block_sizes().size())) {
  sha256_.Add(checkpoint->HeaderOf(shard));
}

absl::Status ShardFileReader::ReadNext(absl::Span<float> theta, absl::Span<const absl::Span<float>> arrays) {
  if (arrays.size() != checkpoint_->array_names().size() || next_ == blocks_.size()) {
    return absl::InvalidArgumentError(absl::StrCat(checkpoint_->path(), ": there is no block ", next_,
                                                   " of shard ", shard_, " with ", arrays.size(), " arrays"));
  }
  SHOAL_RETURN_IF_ERROR(ReadTensor(kTheta, theta));
  for (size_t i = 0; i < arrays.size(); ++i) {
    SHOAL_RETURN_IF_ERROR(ReadTensor(checkpoint_->array_names()[i], arrays[i]));
  }
  if (++next_ < blocks_.size()) return absl::OkStatus();
  const CheckpointShard& shard = checkpoint_->manifest().shards(shard_);
  if (sha256_.HexDigest() == shard.sha256()) return absl::OkStatus();
  return Damaged(JoinPath(checkpoint_->path(), shard.file()), "its SHA-256 does not match the manifest");
}

absl::Status ShardFileReader::ReadTensor(absl::string_view name, absl::Span<float> out) {
  SHOAL_RETURN_IF_ERROR(checkpoint_->ReadBlock(name, blocks_[next_], out));
  sha256_.Add(TextOf(out));
  return absl::OkStatus();
}

}  // namespace shoal
