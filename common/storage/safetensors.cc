#include "common/storage/safetensors.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/nearest_name.h"
#include "common/base/status.h"
#include "common/base/wire.h"
#include "common/storage/safetensors_header.h"

namespace shoal {
namespace {

constexpr uint64_t kLengthBytes = 8;
// Elements converted at a time.
constexpr uint64_t kPieceElements = 1 << 16;

// Length and text of the header, checked against the file's size.
absl::StatusOr<std::string> ReadHeader(const RandomAccessFile& file) {
  if (file.size() < kLengthBytes) return absl::InvalidArgumentError("too short for a safetensors file");
  uint64_t length = 0;
  SHOAL_RETURN_IF_ERROR(file.Read(0, absl::MakeSpan(reinterpret_cast<char*>(&length), sizeof(length))));
  if (length > kMaxSafetensorsHeaderBytes || length > file.size() - kLengthBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("not a safetensors file: a header of ", length, " bytes in a file of ", file.size()));
  }
  std::string header(kLengthBytes + length, '\0');
  SHOAL_RETURN_IF_ERROR(file.Read(0, absl::MakeSpan(header)));
  return header;
}

// Converts floats of `type` in `bytes` to float32.
void Convert(SafetensorsType type, absl::Span<const char> bytes, absl::Span<float> out) {
  const auto raw = absl::MakeConstSpan(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  if (type == SafetensorsType::kF64) {
    for (size_t i = 0; i < out.size(); ++i) {
      double value;
      std::memcpy(&value, bytes.data() + 8 * i, sizeof(value));
      out[i] = static_cast<float>(value);
    }
  } else {
    Decode(type == SafetensorsType::kF16 ? WIRE_FORMAT_F16 : WIRE_FORMAT_BF16, raw, out);
  }
}

bool IsFloat(SafetensorsType type) {
  return type == SafetensorsType::kF16 || type == SafetensorsType::kBf16 || type == SafetensorsType::kF32 ||
         type == SafetensorsType::kF64;
}

}  // namespace

uint64_t SafetensorsEntry::elements() const {
  uint64_t product = 1;
  for (uint64_t dimension : shape) product *= dimension;
  return product;
}

absl::StatusOr<SafetensorsReader> SafetensorsReader::Open(Env* env, const std::string& path) {
  SafetensorsReader reader;
  reader.path_ = path;
  SHOAL_ASSIGN_OR_RETURN(reader.file_, env->NewRandomAccessFile(path));
  absl::StatusOr<std::string> bytes = ReadHeader(*reader.file_);
  if (!bytes.ok()) return Annotate(bytes.status(), path);
  reader.header_ = *std::move(bytes);
  const uint64_t data_begin = reader.header_.size();
  absl::StatusOr<SafetensorsHeader> header = ParseSafetensorsHeader(
      absl::string_view(reader.header_).substr(kLengthBytes), reader.file_->size() - data_begin);
  if (!header.ok()) return Annotate(header.status(), path);
  reader.entries_ = std::move(header->entries);
  reader.metadata_ = std::move(header->metadata);
  for (size_t i = 0; i < reader.entries_.size(); ++i) {
    reader.entries_[i].offset += data_begin;
    reader.index_[reader.entries_[i].name] = i;
  }
  return reader;
}

absl::StatusOr<const SafetensorsEntry*> SafetensorsReader::Find(absl::string_view name) const {
  const auto it = index_.find(name);
  if (it != index_.end()) return &entries_[it->second];
  std::vector<std::string> names;
  for (const SafetensorsEntry& entry : entries_) names.push_back(entry.name);
  return absl::NotFoundError(absl::StrCat(path_, " has no tensor '", name, "'", DidYouMean(name, names)));
}

absl::Status SafetensorsReader::ReadBytes(const SafetensorsEntry& entry, uint64_t offset_bytes,
                                          absl::Span<char> out) const {
  const uint64_t size_bytes = entry.size_bytes();
  if (offset_bytes > size_bytes || out.size() > size_bytes - offset_bytes) {
    return absl::OutOfRangeError(absl::StrCat(path_, ": bytes ", offset_bytes, " to ",
                                              offset_bytes + out.size(), " of '", entry.name, "', which has ",
                                              size_bytes));
  }
  return file_->Read(entry.offset + offset_bytes, out);
}

absl::Status SafetensorsReader::ReadFloats(const SafetensorsEntry& entry, uint64_t first,
                                           absl::Span<float> out) const {
  if (!IsFloat(entry.type)) {
    return absl::InvalidArgumentError(absl::StrCat(path_, ": expected floating point in '", entry.name,
                                                   "', got ", SafetensorsTypeName(entry.type)));
  }
  if (first > entry.elements()) {
    return absl::OutOfRangeError(absl::StrCat(path_, ": element ", first, " of '", entry.name, "'"));
  }
  const uint64_t element_bytes = SafetensorsTypeBytes(entry.type);
  if (entry.type == SafetensorsType::kF32) {
    return ReadBytes(entry, first * element_bytes,
                     absl::MakeSpan(reinterpret_cast<char*>(out.data()), out.size() * element_bytes));
  }
  std::vector<char> buffer(std::min<uint64_t>(out.size(), kPieceElements) * element_bytes);
  while (!out.empty()) {
    const absl::Span<float> piece = out.first(std::min<uint64_t>(out.size(), kPieceElements));
    const absl::Span<char> bytes = absl::MakeSpan(buffer).first(piece.size() * element_bytes);
    SHOAL_RETURN_IF_ERROR(ReadBytes(entry, first * element_bytes, bytes));
    Convert(entry.type, bytes, piece);
    first += piece.size();
    out.remove_prefix(piece.size());
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<float>> SafetensorsReader::ReadFloats(absl::string_view name) const {
  SHOAL_ASSIGN_OR_RETURN(const SafetensorsEntry* entry, Find(name));
  std::vector<float> values(entry->elements());
  SHOAL_RETURN_IF_ERROR(ReadFloats(*entry, 0, absl::MakeSpan(values)));
  return values;
}

}  // namespace shoal
