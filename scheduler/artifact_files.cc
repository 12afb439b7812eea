#include "scheduler/artifact_files.h"

#include <algorithm>
#include <atomic>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/sha256.h"
#include "common/status.h"

namespace shoal::scheduler {
namespace {

absl::Status CheckDigest(const std::string& sha256) {
  if (sha256.size() == 64 && std::all_of(sha256.begin(), sha256.end(), absl::ascii_isxdigit))
    return absl::OkStatus();
  return absl::InvalidArgumentError("sha256: expected 64 hexadecimal digits");
}

}  // namespace

absl::Status ArtifactFiles::Put(const std::string& sha256, uint64_t bytes, const NextPiece& next) {
  SHOAL_RETURN_IF_ERROR(CheckDigest(sha256));
  const std::string path = JoinPath(folder_, sha256);
  if (env_->FileExists(path)) return absl::OkStatus();
  SHOAL_RETURN_IF_ERROR(env_->CreateDirs(folder_));
  static std::atomic<uint64_t> attempts{0};  // two nodes may bring the same one
  const std::string partial = absl::StrCat(path, ".partial-", ++attempts);
  absl::Status status = Receive(partial, sha256, bytes, next);
  if (status.ok()) status = env_->Rename(partial, path);
  if (status.ok()) return env_->SyncDir(folder_);
  (void)env_->DeleteFile(partial);
  return status;
}

absl::Status ArtifactFiles::Receive(const std::string& path, const std::string& sha256, uint64_t bytes,
                                    const NextPiece& next) {
  SHOAL_ASSIGN_OR_RETURN(const std::unique_ptr<WritableFile> file, env_->NewWritableFile(path));
  Sha256 digest;
  uint64_t size = 0;
  std::string piece;
  while (size <= bytes && next(&piece)) {
    size += piece.size();
    digest.Add(piece.data(), piece.size());
    SHOAL_RETURN_IF_ERROR(file->Append(piece));
  }
  if (size != bytes || digest.HexDigest() != absl::AsciiStrToLower(sha256)) {
    return absl::InvalidArgumentError(absl::StrCat("the artifact's bytes are not those of ", sha256));
  }
  SHOAL_RETURN_IF_ERROR(file->Sync());
  return file->Close();
}

absl::StatusOr<std::unique_ptr<RandomAccessFile>> ArtifactFiles::Open(const std::string& sha256) const {
  SHOAL_RETURN_IF_ERROR(CheckDigest(sha256));
  const std::string path = JoinPath(folder_, sha256);
  if (!env_->FileExists(path)) return absl::NotFoundError(absl::StrCat("there is no artifact ", sha256));
  return env_->NewRandomAccessFile(path);
}

}  // namespace shoal::scheduler
