// Files, behind an interface so that tests can make them fail (common/storage/fault_env.h).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace shoal {

// A file being written, in order. Not thread-safe.
class WritableFile {
 public:
  // Closes the file if Close was not called; an error is then lost, so call Close.
  virtual ~WritableFile() = default;

  // On failure an unknown part of `bytes` may be in the file. Unbuffered: write large pieces.
  virtual absl::Status Append(absl::string_view bytes) = 0;

  // Returns once everything appended is on the storage device (fsync).
  virtual absl::Status Sync() = 0;

  // No Append or Sync may follow. Closing twice is harmless.
  virtual absl::Status Close() = 0;
};

// A file that can be read at any offset. Thread-safe.
class RandomAccessFile {
 public:
  virtual ~RandomAccessFile() = default;

  // Its size when it was opened, in bytes.
  virtual uint64_t size() const = 0;

  // Fills `out` with the bytes from `offset` on. Errors: OUT_OF_RANGE when the file ends before that; the
  // system's.
  virtual absl::Status Read(uint64_t offset, absl::Span<char> out) const = 0;
};

enum class WriteMode {
  kTruncate,  // starts empty
  kAppend,    // continues after the existing bytes
};

// The system's description of `error` (errno), with the code of absl::ErrnoToStatusCode. Two kinds have codes
// of their own: RESOURCE_EXHAUSTED when there is no space (ENOSPC, EDQUOT, and EROFS too: failing disks
// become read-only), UNAVAILABLE when a file system is no longer there as it was (ESTALE, ENOTCONN,
// ETIMEDOUT, ...).
absl::Status FileError(int error, absl::string_view text);

// A file system. Thread-safe. Errors carry the path and the system's description ("... : No space left on
// device"), with the code from FileError: NOT_FOUND, ALREADY_EXISTS, PERMISSION_DENIED, RESOURCE_EXHAUSTED (a
// full disk) and so on. A pipe is never opened, which might take forever: INVALID_ARGUMENT.
class Env {
 public:
  virtual ~Env() = default;

  // Creates the file if it does not exist.
  virtual absl::StatusOr<std::unique_ptr<WritableFile>> NewWritableFile(
      const std::string& path, WriteMode mode = WriteMode::kTruncate) = 0;
  virtual absl::StatusOr<std::unique_ptr<RandomAccessFile>> NewRandomAccessFile(const std::string& path) = 0;

  // Atomically replaces an existing `to`. Until SyncDir, a crash may undo the rename.
  virtual absl::Status Rename(const std::string& from, const std::string& to) = 0;

  // Makes the names in `path` durable.
  virtual absl::Status SyncDir(const std::string& path) = 0;

  // With all parents; OK when it exists already. Durable: what is synced in a folder created here can't be
  // lost with the folder's name.
  virtual absl::Status CreateDirs(const std::string& path) = 0;

  // The names in a folder, sorted, without "." and "..".
  virtual absl::StatusOr<std::vector<std::string>> ListDir(const std::string& path) = 0;

  // Errors: NOT_FOUND when it does not exist.
  virtual absl::Status DeleteFile(const std::string& path) = 0;

  // Deletes a file, or a folder with its contents (links are removed, not followed); OK when it does not
  // exist.
  virtual absl::Status DeleteTree(const std::string& path) = 0;

  virtual absl::StatusOr<uint64_t> FileSize(const std::string& path) = 0;

  // Whether there is a file or folder of this name.
  virtual bool FileExists(const std::string& path) = 0;

  // Whether some process, on any machine with this file system, is still writing the file, that is, has it
  // open from NewWritableFile. True when that can't be determined.
  virtual bool IsBeingWritten(const std::string& /*path*/) { return true; }

  // The whole file.
  absl::StatusOr<std::string> ReadFile(const std::string& path);

  // Makes `path` hold exactly `bytes`, durably: a temporary file beside it, fsync, rename, fsync of the
  // folder. On failure, and after a crash at any moment, `path` holds either its previous contents or
  // `bytes`.
  absl::Status WriteFileAtomic(const std::string& path, absl::string_view bytes);

  // In lower-case hexadecimal.
  absl::StatusOr<std::string> Sha256OfFile(const std::string& path);
};

// The operating system's files. Never null, never destroyed.
Env* PosixEnv();

// The folder part of a path: "a/b" -> "a", "b" -> ".", "/b" -> "/".
std::string DirName(absl::string_view path);
// The last part: "a/b" -> "b".
std::string BaseName(absl::string_view path);
// The absolute path, with "." and ".." resolved as far as possible without access to the file system. Errors:
// the system's.
absl::StatusOr<std::string> AbsolutePath(const std::string& path);
// Without ".", "..", doubled and trailing slashes, so that a folder has one name; "" stays "".
std::string NormalPath(const std::string& path);
// Joins with one slash; just `name` when `folder` is "".
std::string JoinPath(absl::string_view folder, absl::string_view name);

}  // namespace shoal
