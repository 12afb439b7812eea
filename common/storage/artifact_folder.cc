#include "common/storage/artifact_folder.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <random>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "common/base/sha256.h"
#include "common/base/status.h"
#include "common/base/units.h"

namespace shoal {
namespace {

constexpr size_t kSha256Characters = 64;
constexpr char kPartial[] = ".partial-";
constexpr uint64_t kPieceBytes = 1 << 20;

// The digest becomes a file name.
absl::Status CheckDigest(const std::string& sha256) {
  const auto is_hex = [](char c) { return absl::ascii_isdigit(c) || (c >= 'a' && c <= 'f'); };
  if (sha256.size() == kSha256Characters && std::all_of(sha256.begin(), sha256.end(), is_hex))
    return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("sha256: expected ", kSha256Characters,
                                                 " lower-case hexadecimal digits, got ", sha256.size(),
                                                 " characters"));
}

// ".partial-UNIQUE", where UNIQUE differs for each writer.
std::string PartialName(const std::string& path) {
  static const uint64_t process = std::random_device()() ^ (static_cast<uint64_t>(getpid()) << 32);
  static std::atomic<uint64_t> attempts{0};
  return absl::StrCat(path, kPartial, absl::Hex(process), "-", ++attempts);
}

bool IsPartial(const std::string& name) {
  const size_t at = name.find(kPartial);
  return at != name.npos && CheckDigest(name.substr(0, at)).ok();
}

}  // namespace

ArtifactFolder::ArtifactFolder(Env* env, std::string folder) : env_(env), folder_(std::move(folder)) {
  DeleteLeftovers();
}

void ArtifactFolder::DeleteLeftovers() {
  const auto names = env_->ListDir(folder_);
  if (!names.ok()) return;  // not created yet; any other error will come back when it matters
  for (const std::string& name : *names) {
    if (!IsPartial(name) || env_->IsBeingWritten(JoinPath(folder_, name))) continue;
    LogInfo("Deleting ", JoinPath(folder_, name), ", left behind by a process that died");
    env_->DeleteFile(JoinPath(folder_, name)).IgnoreError();  // another process may be quicker
  }
}

absl::Status ArtifactFolder::Put(const std::string& sha256, uint64_t bytes, const NextPiece& next) {
  SHOAL_RETURN_IF_ERROR(CheckDigest(sha256));
  if (bytes > kMaxArtifactBytes) {
    return absl::InvalidArgumentError(absl::StrCat("artifact ", sha256, " has ", bytes,
                                                   " bytes; expected at most ", kMaxArtifactBytes, " (",
                                                   FormatBytes(kMaxArtifactBytes), ")"));
  }
  SHOAL_RETURN_IF_ERROR(env_->CreateDirs(folder_));
  const std::string partial = PartialName(PathOf(sha256));
  const absl::Status status = PutPartial(partial, sha256, bytes, next);
  if (status.ok()) return env_->SyncDir(folder_);
  env_->DeleteFile(partial).IgnoreError();  // the first error is the one to report
  return status;
}

// The file stays open until it has its final name, so that nobody takes it for a dead writer's.
absl::Status ArtifactFolder::PutPartial(const std::string& partial, const std::string& sha256, uint64_t bytes,
                                        const NextPiece& next) {
  SHOAL_ASSIGN_OR_RETURN(const std::unique_ptr<WritableFile> file, env_->NewWritableFile(partial));
  SHOAL_RETURN_IF_ERROR(Receive(file.get(), sha256, bytes, next));
  SHOAL_RETURN_IF_ERROR(env_->Rename(partial, PathOf(sha256)));
  return file->Close();
}

absl::Status ArtifactFolder::Receive(WritableFile* file, const std::string& sha256, uint64_t bytes,
                                     const NextPiece& next) {
  Sha256 digest;
  uint64_t size = 0;
  for (std::string piece; next(&piece);) {
    if (piece.size() > kMaxArtifactPieceBytes) {
      return absl::InvalidArgumentError(absl::StrCat("a piece of artifact ", sha256, " has ", piece.size(),
                                                     " bytes; expected at most ", kMaxArtifactPieceBytes));
    }
    if (piece.size() > bytes - size) {
      return absl::DataLossError(
          absl::StrCat("artifact ", sha256, ": received more than the announced ", bytes, " bytes"));
    }
    size += piece.size();
    digest.Add(piece);
    SHOAL_RETURN_IF_ERROR(file->Append(piece));
  }
  if (size != bytes) {
    return absl::DataLossError(
        absl::StrCat("artifact ", sha256, ": received only ", size, " of ", bytes, " bytes"));
  }
  if (const std::string got = digest.HexDigest(); got != sha256) {
    return absl::DataLossError(
        absl::StrCat("artifact ", sha256, ": the received bytes have the SHA-256 ", got));
  }
  return file->Sync();
}

absl::Status ArtifactFolder::Read(const std::string& sha256, const TakePiece& take) const {
  SHOAL_ASSIGN_OR_RETURN(const std::unique_ptr<RandomAccessFile> file, Open(sha256));
  const uint64_t size = file->size();
  Sha256 digest;
  std::vector<char> buffer(std::min(size, kPieceBytes));
  uint64_t offset = 0;
  do {
    const auto piece = absl::MakeSpan(buffer).first(std::min(kPieceBytes, size - offset));
    SHOAL_RETURN_IF_ERROR(file->Read(offset, piece));
    const absl::string_view bytes(piece.data(), piece.size());
    digest.Add(bytes);
    if (!take(size, bytes)) return absl::CancelledError("the artifact is no longer wanted");
    offset += piece.size();
  } while (offset < size);
  if (const std::string got = digest.HexDigest(); got != sha256) {
    return absl::DataLossError(absl::StrCat(PathOf(sha256), " is damaged: its SHA-256 is ", got));
  }
  return absl::OkStatus();
}

absl::Status ArtifactFolder::Verify(const std::string& sha256, const Progress& progress) const {
  const std::string what = absl::StrCat("verifies artifact ", sha256);
  return Read(sha256, [&](uint64_t, absl::string_view) {
    progress(what);
    return true;
  });
}

absl::Status ArtifactFolder::Delete(const std::string& sha256) {
  SHOAL_RETURN_IF_ERROR(CheckDigest(sha256));
  const absl::Status status = env_->DeleteFile(PathOf(sha256));
  return absl::IsNotFound(status) ? absl::OkStatus() : status;
}

absl::StatusOr<std::vector<std::string>> ArtifactFolder::List() const {
  auto names = env_->ListDir(folder_);
  if (absl::IsNotFound(names.status())) return std::vector<std::string>();  // not created yet
  SHOAL_RETURN_IF_ERROR(names.status());
  const auto is_other = [](const std::string& name) { return !CheckDigest(name).ok(); };
  names->erase(std::remove_if(names->begin(), names->end(), is_other), names->end());
  return names;
}

absl::Status ArtifactFolder::KeepOnly(const std::set<std::string>& sha256) {
  SHOAL_ASSIGN_OR_RETURN(const std::vector<std::string> names, List());
  absl::Status first;
  for (const std::string& name : names) {
    if (sha256.count(name) == 0) first.Update(Delete(name));
  }
  return first;
}

absl::Status ArtifactFolder::ShrinkTo(uint64_t bytes, const std::set<std::string>& kept,
                                      const std::vector<std::string>& used) {
  SHOAL_ASSIGN_OR_RETURN(std::vector<std::string> names, List());
  std::map<std::string, uint64_t> sizes;  // of a file that another process deletes: 0
  uint64_t total = 0;
  for (const std::string& name : names) {
    sizes[name] = env_->FileSize(PathOf(name)).value_or(0);
    total += sizes[name];
  }
  const auto place = [&](const std::string& name) {
    const auto found = std::find(used.begin(), used.end(), name);
    return found == used.end() ? -1 : found - used.begin();
  };
  std::stable_sort(names.begin(), names.end(),
                   [&](const std::string& a, const std::string& b) { return place(a) < place(b); });
  absl::Status first;
  for (const std::string& name : names) {
    if (total <= bytes) break;
    if (kept.count(name) > 0) continue;
    first.Update(Delete(name));
    total -= sizes[name];
  }
  return first;
}

absl::StatusOr<std::unique_ptr<RandomAccessFile>> ArtifactFolder::Open(const std::string& sha256) const {
  SHOAL_RETURN_IF_ERROR(CheckDigest(sha256));
  const std::string path = PathOf(sha256);
  if (!env_->FileExists(path)) return absl::NotFoundError(absl::StrCat("there is no artifact ", sha256));
  return env_->NewRandomAccessFile(path);
}

}  // namespace shoal
