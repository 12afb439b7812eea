#include "common/storage/file.h"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/sha256.h"
#include "common/base/status.h"

namespace shoal {
namespace {

constexpr uint64_t kReadBytes = 1 << 20;

absl::Status WriteDurably(Env* env, const std::string& path, absl::string_view bytes) {
  SHOAL_ASSIGN_OR_RETURN(std::unique_ptr<WritableFile> file, env->NewWritableFile(path));
  SHOAL_RETURN_IF_ERROR(file->Append(bytes));
  SHOAL_RETURN_IF_ERROR(file->Sync());
  return file->Close();
}

}  // namespace

absl::Status FileError(int error, absl::string_view text) {
  const absl::Status status = absl::ErrnoToStatus(error, text);
  switch (error) {
    case EROFS:
      return absl::ResourceExhaustedError(status.message());
    case ESTALE:
    case ENOTCONN:
    case ETIMEDOUT:  // a network file system whose server does not respond
    case ECONNREFUSED:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENETDOWN:
    case ENETUNREACH:
      return absl::UnavailableError(status.message());
    default:
      return status;
  }
}

absl::StatusOr<std::string> Env::ReadFile(const std::string& path) {
  SHOAL_ASSIGN_OR_RETURN(std::unique_ptr<RandomAccessFile> file, NewRandomAccessFile(path));
  std::string bytes(file->size(), '\0');
  SHOAL_RETURN_IF_ERROR(file->Read(0, absl::MakeSpan(bytes)));
  return bytes;
}

absl::Status Env::WriteFileAtomic(const std::string& path, absl::string_view bytes) {
  const std::string temporary = absl::StrCat(path, ".tmp");
  absl::Status status = WriteDurably(this, temporary, bytes);
  if (status.ok()) status = Rename(temporary, path);
  if (!status.ok()) {
    DeleteFile(temporary).IgnoreError();  // the first error is the one to report
    return status;
  }
  return SyncDir(DirName(path));
}

absl::StatusOr<std::string> Env::Sha256OfFile(const std::string& path) {
  SHOAL_ASSIGN_OR_RETURN(std::unique_ptr<RandomAccessFile> file, NewRandomAccessFile(path));
  Sha256 sha256;
  std::vector<char> buffer(std::min(file->size(), kReadBytes));
  for (uint64_t offset = 0; offset < file->size(); offset += kReadBytes) {
    const absl::Span<char> piece = absl::MakeSpan(buffer).first(std::min(kReadBytes, file->size() - offset));
    SHOAL_RETURN_IF_ERROR(file->Read(offset, piece));
    sha256.Add(piece.data(), piece.size());
  }
  return sha256.HexDigest();
}

absl::StatusOr<std::string> SetAside(Env* env, const std::string& path, absl::string_view suffix) {
  const std::string name = absl::StrCat(path, suffix);
  std::string free = name;
  for (int i = 2; env->FileExists(free); ++i) free = absl::StrCat(name, "-", i);
  SHOAL_RETURN_IF_ERROR(env->Rename(path, free));
  SHOAL_RETURN_IF_ERROR(env->SyncDir(DirName(path)));
  return free;
}

std::string DirName(absl::string_view path) {
  const size_t slash = path.rfind('/');
  if (slash == absl::string_view::npos) return ".";
  return slash == 0 ? "/" : std::string(path.substr(0, slash));
}

std::string BaseName(absl::string_view path) {
  const size_t slash = path.rfind('/');
  return std::string(slash == absl::string_view::npos ? path : path.substr(slash + 1));
}

absl::StatusOr<std::string> AbsolutePath(const std::string& path) {
  std::error_code error;
  const std::filesystem::path absolute = std::filesystem::absolute(path, error);
  if (error) return absl::InvalidArgumentError(absl::StrCat(path, ": ", error.message()));
  return absolute.lexically_normal().string();
}

std::string NormalPath(const std::string& path) {
  std::string normal = std::filesystem::path(path).lexically_normal().string();
  while (normal.size() > 1 && normal.back() == '/') normal.pop_back();
  return normal;
}

std::string JoinPath(absl::string_view folder, absl::string_view name) {
  if (folder.empty()) return std::string(name);
  return absl::StrCat(absl::StripSuffix(folder, "/"), "/", absl::StripPrefix(name, "/"));
}

}  // namespace shoal
