// Tensors in a file, in Hugging Face's safetensors format (github.com/huggingface/safetensors):
//   8 bytes   N, the header's length, little-endian
//   N bytes   JSON: {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end]}, ...,
//             "__metadata__": {"key": "value", ...}}; offsets count from the end of the header
//   the rest  the tensors, little-endian, row-major, without gaps
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "common/base/sha256.h"
#include "common/storage/file.h"

namespace shoal {

enum class SafetensorsType { kBool, kU8, kI8, kU16, kI16, kF16, kBf16, kU32, kI32, kF32, kU64, kI64, kF64 };

// "F32" and so on, as the format writes them.
absl::string_view SafetensorsTypeName(SafetensorsType type);
uint64_t SafetensorsTypeBytes(SafetensorsType type);

// A tensor to write, or one found in a file.
struct SafetensorsEntry {
  std::string name;
  SafetensorsType type = SafetensorsType::kF32;
  std::vector<uint64_t> shape;  // {}: a scalar
  uint64_t offset = 0;          // of its first byte in the file; set by the reader, not used by the writer

  uint64_t elements() const;
  uint64_t size_bytes() const { return elements() * SafetensorsTypeBytes(type); }
};

using SafetensorsMetadata = std::map<std::string, std::string>;

// A file opened for reading. Thread-safe; movable.
class SafetensorsReader {
 public:
  // Reads and checks the header: its size (at most 100 MB, the format's limit), JSON, types, shapes,
  // duplicate names, offsets that overlap, leave gaps or miss the end of the file. Errors: INVALID_ARGUMENT
  // with path and tensor for a malformed file; those of the Env.
  static absl::StatusOr<SafetensorsReader> Open(Env* env, const std::string& path);

  // The file's bytes before its tensors: the length and the JSON, unchanged.
  absl::string_view header() const { return header_; }

  // In the order of the file.
  const std::vector<SafetensorsEntry>& entries() const { return entries_; }
  const SafetensorsMetadata& metadata() const { return metadata_; }

  // Errors: NOT_FOUND that names the file and suggests the nearest name. Valid as long as the reader.
  absl::StatusOr<const SafetensorsEntry*> Find(absl::string_view name) const;

  // The bytes of an entry from `offset_bytes` on. Errors: OUT_OF_RANGE beyond the entry; those of the file.
  absl::Status ReadBytes(const SafetensorsEntry& entry, uint64_t offset_bytes, absl::Span<char> out) const;

  // Elements from `first` on, as float32: F16 and BF16 exactly, F64 rounded to nearest. Errors:
  // INVALID_ARGUMENT when the entry has integers; OUT_OF_RANGE beyond the entry; those of the file.
  absl::Status ReadFloats(const SafetensorsEntry& entry, uint64_t first, absl::Span<float> out) const;

  // A whole tensor by its name.
  absl::StatusOr<std::vector<float>> ReadFloats(absl::string_view name) const;

 private:
  SafetensorsReader() = default;

  std::string path_;
  std::unique_ptr<RandomAccessFile> file_;
  std::string header_;
  std::vector<SafetensorsEntry> entries_;
  SafetensorsMetadata metadata_;
  absl::flat_hash_map<std::string, size_t> index_;  // name -> position in entries_
};

// Writes a file in one pass, without holding the tensors. Not thread-safe; movable.
class SafetensorsWriter {
 public:
  // Writes the header to `path` (an existing file is replaced); tensors follow in the order of `entries`.
  // Errors: INVALID_ARGUMENT for a name that is empty, "__metadata__" or a duplicate; those of the Env.
  static absl::StatusOr<SafetensorsWriter> Create(Env* env, const std::string& path,
                                                  std::vector<SafetensorsEntry> entries,
                                                  const SafetensorsMetadata& metadata = {});

  // Appends data; pieces need not be whole tensors.
  // Errors: OUT_OF_RANGE when it is more than the header says; those of the file.
  absl::Status Append(absl::Span<const char> bytes);
  absl::Status Append(absl::Span<const float> values);

  // Syncs and closes the file and returns its SHA-256 in hexadecimal. The name of the file is durable after
  // Env::SyncDir. Errors: FAILED_PRECONDITION when tensors are missing; those of the file.
  absl::StatusOr<std::string> Finish();

 private:
  SafetensorsWriter() = default;

  std::string path_;
  std::unique_ptr<WritableFile> file_;
  Sha256 sha256_;
  uint64_t missing_bytes_ = 0;
};

}  // namespace shoal
