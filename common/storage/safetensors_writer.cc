#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/storage/safetensors.h"
#include "common/storage/safetensors_header.h"

namespace shoal {

absl::StatusOr<SafetensorsWriter> SafetensorsWriter::Create(Env* env, const std::string& path,
                                                            std::vector<SafetensorsEntry> entries,
                                                            const SafetensorsMetadata& metadata) {
  const SafetensorsHeader header{std::move(entries), metadata};
  const absl::StatusOr<std::string> text = FormatSafetensorsHeader(header);
  if (!text.ok()) return Annotate(text.status(), path);
  SafetensorsWriter writer;
  writer.path_ = path;
  for (const SafetensorsEntry& entry : header.entries) writer.missing_bytes_ += entry.size_bytes();
  SHOAL_ASSIGN_OR_RETURN(writer.file_, env->NewWritableFile(path));
  SHOAL_RETURN_IF_ERROR(writer.file_->Append(*text));
  writer.sha256_.Add(*text);
  return writer;
}

absl::Status SafetensorsWriter::Append(absl::Span<const char> bytes) {
  if (bytes.size() > missing_bytes_) {
    return absl::OutOfRangeError(absl::StrCat(path_, ": ", bytes.size(),
                                              " bytes of tensors, but the header leaves room for only ",
                                              missing_bytes_));
  }
  const absl::string_view text(bytes.data(), bytes.size());
  SHOAL_RETURN_IF_ERROR(file_->Append(text));
  sha256_.Add(text);
  missing_bytes_ -= bytes.size();
  return absl::OkStatus();
}

absl::Status SafetensorsWriter::Append(absl::Span<const float> values) {
  return Append(
      absl::MakeConstSpan(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)));
}

absl::StatusOr<std::string> SafetensorsWriter::Finish() {
  if (missing_bytes_ > 0) {
    return absl::FailedPreconditionError(
        absl::StrCat(path_, ": ", missing_bytes_, " bytes of tensors are missing"));
  }
  SHOAL_RETURN_IF_ERROR(file_->Sync());
  SHOAL_RETURN_IF_ERROR(file_->Close());
  return sha256_.HexDigest();
}

}  // namespace shoal
