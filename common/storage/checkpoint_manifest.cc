#include "common/storage/checkpoint_manifest.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/base/sha256.h"
#include "common/base/status.h"
#include "common/protocol/shard_map.h"
#include "google/protobuf/util/json_util.h"

namespace shoal {
namespace {

// The protobuf library's JSON writes a quote inside a string as \", so this text occurs only at the field
// itself.
constexpr char kSelf[] = "\"self_sha256\": \"";
constexpr size_t kHexDigits = 64;
constexpr int kMaxShards = 65536;

absl::Status Damaged(absl::string_view problem) {
  return absl::DataLossError(absl::StrCat("damaged: ", problem));
}

// The digest of `text` without the digest at `position`.
std::string SelfDigest(absl::string_view text, size_t position) {
  Sha256 sha256;
  sha256.Add(text.substr(0, position));
  sha256.Add(text.substr(position + kHexDigits));
  return sha256.HexDigest();
}

absl::Status CheckSelf(absl::string_view text) {
  const size_t field = text.find(kSelf);
  if (field == absl::string_view::npos) return Damaged("it has no self_sha256");
  const size_t position = field + sizeof(kSelf) - 1;
  if (text.size() - position < kHexDigits ||
      SelfDigest(text, position) != text.substr(position, kHexDigits)) {
    return Damaged("it does not match its self_sha256");
  }
  return absl::OkStatus();
}

bool IsDigest(const std::string& text) {
  return text.size() == kHexDigits && std::all_of(text.begin(), text.end(), [](char c) {
           return absl::ascii_isdigit(c) || (c >= 'a' && c <= 'f');
         });
}

absl::Status CheckShards(const CheckpointManifest& manifest) {
  const int shards = manifest.shards_size();
  if (shards == 0 || shards > kMaxShards) return Damaged(absl::StrCat("it has ", shards, " shards"));
  for (int i = 0; i < shards; ++i) {
    const CheckpointShard& shard = manifest.shards(i);
    const std::string name = ShardFileName(i, shards);
    if (shard.file() != name) {
      return Damaged(absl::StrCat("expected ", name, " instead of \"", shard.file(), "\""));
    }
    const bool whole =
        manifest.format() == 1 || (IsDigest(shard.header_sha256()) && !shard.block_crc32c().empty());
    if (!IsDigest(shard.sha256()) || !whole) return Damaged(absl::StrCat(name, " has no checksums"));
  }
  return absl::OkStatus();
}

using BlockChecksums = std::map<BlockId, std::vector<uint32_t>>;

BlockChecksums ChecksumsOf(const CheckpointManifest& manifest, uint64_t tensors_per_block) {
  BlockChecksums blocks;
  const ShardMap map(manifest.shards_size());
  for (int shard = 0; shard < manifest.shards_size(); ++shard) {
    const auto& checksums = manifest.shards(shard).block_crc32c();
    for (int i = 0; i < checksums.size(); ++i)
      blocks[map.BlockAt(shard, static_cast<uint64_t>(i) / tensors_per_block)].push_back(checksums[i]);
  }
  return blocks;
}

absl::Status Differs(absl::string_view what, absl::string_view there, absl::string_view wanted) {
  return absl::FailedPreconditionError(
      absl::StrCat("it belongs to another training: ", what, " is ", there, " there, ", wanted,
                   " here: give each training a checkpoint folder of its own"));
}

}  // namespace

std::string ShardFileName(uint32_t shard, uint32_t shards) {
  return absl::StrCat("shard-", shard, "-of-", shards, ".safetensors");
}

std::string FormatManifest(CheckpointManifest manifest) {
  manifest.set_format(kCheckpointFormat);
  manifest.set_self_sha256(std::string(kHexDigits, '0'));
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.preserve_proto_field_names = true;
  std::string text;
  SHOAL_CHECK(google::protobuf::util::MessageToJsonString(manifest, &text, options).ok());
  const size_t field = text.find(kSelf);
  SHOAL_CHECK(field != std::string::npos);
  const size_t position = field + sizeof(kSelf) - 1;
  return text.replace(position, kHexDigits, SelfDigest(text, position));
}

absl::StatusOr<CheckpointManifest> ParseManifest(absl::string_view text) {
  CheckpointManifest manifest;
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = true;  // the format number decides what is readable
  const auto parsed = google::protobuf::util::JsonStringToMessage(std::string(text), &manifest, options);
  if (!parsed.ok()) return Damaged(std::string(parsed.message()));
  if (manifest.format() != 1 || !manifest.self_sha256().empty()) SHOAL_RETURN_IF_ERROR(CheckSelf(text));
  if (manifest.format() > kCheckpointFormat) {
    return absl::UnimplementedError(absl::StrCat("checkpoint format ", manifest.format(),
                                                 "; this version of shoal reads up to ", kCheckpointFormat));
  }
  if (manifest.format() == 0 || manifest.parameters() == 0)
    return Damaged("it has no format or no parameters");
  SHOAL_RETURN_IF_ERROR(CheckShards(manifest));
  return manifest;
}

absl::Status CheckSameCheckpoint(const CheckpointManifest& there, const CheckpointManifest& wanted) {
  if (there.version() != wanted.version())
    return Differs("version", absl::StrCat(there.version()), absl::StrCat(wanted.version()));
  if (there.spec_sha256() != wanted.spec_sha256())
    return Differs("the job's digest", there.spec_sha256(), wanted.spec_sha256());
  if (there.plan_sha256() != wanted.plan_sha256())
    return Differs("the data's digest", there.plan_sha256(), wanted.plan_sha256());
  if (there.parameters() != wanted.parameters()) {
    return Differs("the number of parameters", absl::StrCat(there.parameters()),
                   absl::StrCat(wanted.parameters()));
  }
  if (there.format() == 1) return absl::OkStatus();  // it has nothing else to compare
  const uint64_t tensors_per_block = 1 + there.moments_size();
  const BlockChecksums theirs = ChecksumsOf(there, tensors_per_block),
                       ours = ChecksumsOf(wanted, tensors_per_block);
  if (theirs.size() != ours.size())
    return Differs("the number of blocks", absl::StrCat(theirs.size()), absl::StrCat(ours.size()));
  for (const auto& [block, checksums] : theirs) {
    const auto found = ours.find(block);
    if (found == ours.end() || found->second != checksums) {
      return absl::FailedPreconditionError(
          absl::StrCat("the same version of the same job, but block ", block.value(), " has other bits"));
    }
  }
  return absl::OkStatus();
}

}  // namespace shoal
