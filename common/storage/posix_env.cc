#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/storage/file.h"

namespace shoal {
namespace {

absl::Status Failure(int error, absl::string_view action, absl::string_view path) {
  return FileError(error, absl::StrCat(action, " ", path));
}

// For calls that a signal may interrupt.
template <typename Call>
auto Retry(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

// Closes a descriptor at the end of its scope.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;

  int get() const { return fd_; }
  int Release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

absl::StatusOr<Descriptor> Open(const std::string& path, int flags) {
  struct stat info;
  // Opening it, for reading or writing, would wait for a process at its other end.
  if (stat(path.c_str(), &info) == 0 && S_ISFIFO(info.st_mode))
    return absl::InvalidArgumentError(absl::StrCat("can't open ", path, ": it is a pipe; expected a file"));
  const int fd = Retry([&] { return open(path.c_str(), flags | O_CLOEXEC, 0666); });
  if (fd < 0) return Failure(errno, "can't open", path);
  return Descriptor(fd);
}

class PosixWritableFile : public WritableFile {
 public:
  PosixWritableFile(std::string path, Descriptor fd) : path_(std::move(path)), fd_(std::move(fd)) {}

  absl::Status Append(absl::string_view bytes) override {
    while (!bytes.empty()) {
      const ssize_t written = Retry([&] { return write(fd_.get(), bytes.data(), bytes.size()); });
      if (written < 0) return Failure(errno, "can't write to", path_);
      bytes.remove_prefix(static_cast<size_t>(written));
    }
    return absl::OkStatus();
  }

  absl::Status Sync() override {
    if (Retry([&] { return fsync(fd_.get()); }) != 0) return Failure(errno, "can't sync", path_);
    return absl::OkStatus();
  }

  absl::Status Close() override {
    const int fd = fd_.Release();
    // Linux has closed it even when a signal interrupted the call, so there is nothing to retry.
    if (fd >= 0 && close(fd) != 0 && errno != EINTR) return Failure(errno, "can't close", path_);
    return absl::OkStatus();
  }

 private:
  const std::string path_;
  Descriptor fd_;
};

class PosixRandomAccessFile : public RandomAccessFile {
 public:
  PosixRandomAccessFile(std::string path, Descriptor fd, uint64_t size)
      : path_(std::move(path)), fd_(std::move(fd)), size_(size) {}

  uint64_t size() const override { return size_; }

  absl::Status Read(uint64_t offset, absl::Span<char> out) const override {
    while (!out.empty()) {
      const ssize_t got =
          Retry([&] { return pread(fd_.get(), out.data(), out.size(), static_cast<off_t>(offset)); });
      if (got < 0) return Failure(errno, "can't read", path_);
      if (got == 0) return absl::OutOfRangeError(absl::StrCat(path_, " ends at byte ", offset));
      offset += static_cast<uint64_t>(got);
      out.remove_prefix(static_cast<size_t>(got));
    }
    return absl::OkStatus();
  }

 private:
  const std::string path_;
  const Descriptor fd_;
  const uint64_t size_;
};

class PosixEnvironment : public Env {
 public:
  absl::StatusOr<std::unique_ptr<WritableFile>> NewWritableFile(const std::string& path,
                                                                WriteMode mode) override {
    const int how = mode == WriteMode::kTruncate ? O_TRUNC : O_APPEND;
    SHOAL_ASSIGN_OR_RETURN(Descriptor fd, Open(path, O_WRONLY | O_CREAT | how));
    // For IsBeingWritten, which returns true on a file system without locks. The system releases the lock
    // when the process dies, however it dies.
    (void)Retry([&] { return flock(fd.get(), LOCK_SH | LOCK_NB); });
    return std::make_unique<PosixWritableFile>(path, std::move(fd));
  }

  absl::StatusOr<std::unique_ptr<RandomAccessFile>> NewRandomAccessFile(const std::string& path) override {
    SHOAL_ASSIGN_OR_RETURN(Descriptor fd, Open(path, O_RDONLY));
    struct stat info;
    if (fstat(fd.get(), &info) != 0) return Failure(errno, "can't inspect", path);
    if (S_ISDIR(info.st_mode)) return Failure(EISDIR, "can't read", path);
    return std::make_unique<PosixRandomAccessFile>(path, std::move(fd), static_cast<uint64_t>(info.st_size));
  }

  absl::Status Rename(const std::string& from, const std::string& to) override {
    if (rename(from.c_str(), to.c_str()) == 0) return absl::OkStatus();
    return Failure(errno, "can't rename", absl::StrCat(from, " to ", to));
  }

  absl::Status SyncDir(const std::string& path) override {
    SHOAL_ASSIGN_OR_RETURN(const Descriptor fd, Open(path, O_RDONLY | O_DIRECTORY));
    if (Retry([&] { return fsync(fd.get()); }) != 0) return Failure(errno, "can't sync folder", path);
    return absl::OkStatus();
  }

  absl::Status CreateDirs(const std::string& path) override {
    std::error_code error;
    std::vector<std::string> parents;  // of missing folders, innermost first
    for (std::string missing = path; !std::filesystem::exists(missing, error); missing = parents.back()) {
      parents.push_back(DirName(missing));
      if (parents.back() == missing) break;
    }
    std::filesystem::create_directories(path, error);
    if (error) return Failure(error.value(), "can't create folder", path);
    for (const std::string& parent : parents) SHOAL_RETURN_IF_ERROR(SyncDir(parent));
    return absl::OkStatus();
  }

  absl::StatusOr<std::vector<std::string>> ListDir(const std::string& path) override {
    DIR* folder = opendir(path.c_str());
    if (folder == nullptr) return Failure(errno, "can't list", path);
    std::vector<std::string> names;
    errno = 0;
    while (const dirent* entry = readdir(folder)) {
      const absl::string_view name = entry->d_name;
      if (name != "." && name != "..") names.emplace_back(name);
      errno = 0;
    }
    const int error = errno;
    closedir(folder);
    if (error != 0) return Failure(error, "can't list", path);
    std::sort(names.begin(), names.end());
    return names;
  }

  absl::Status DeleteFile(const std::string& path) override {
    if (unlink(path.c_str()) == 0) return absl::OkStatus();
    return Failure(errno, "can't delete", path);
  }

  absl::Status DeleteTree(const std::string& path) override {
    std::error_code error;
    std::filesystem::remove_all(path, error);
    if (error) return Failure(error.value(), "can't delete", path);
    return absl::OkStatus();
  }

  absl::StatusOr<uint64_t> FileSize(const std::string& path) override {
    struct stat info;
    if (stat(path.c_str(), &info) != 0) return Failure(errno, "can't inspect", path);
    return static_cast<uint64_t>(info.st_size);
  }

  bool FileExists(const std::string& path) override {
    struct stat info;
    return stat(path.c_str(), &info) == 0;
  }

  bool IsBeingWritten(const std::string& path) override {
    const auto fd = Open(path, O_WRONLY);
    return !fd.ok() || Retry([&] { return flock(fd->get(), LOCK_EX | LOCK_NB); }) != 0;
  }
};

}  // namespace

Env* PosixEnv() {
  static Env* const env = new PosixEnvironment;
  return env;
}

}  // namespace shoal
