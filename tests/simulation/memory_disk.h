// A disk in memory that keeps its promises and no more: data that was not synced may be lost or torn when the
// machine that wrote it loses power.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "common/storage/file.h"

namespace shoal::simulation {

// Draws from [0, n); n > 0.
using Draw = std::function<uint64_t(uint64_t n)>;

// Files and folders by path. Several machines share it, like network storage, each through its own MemoryEnv.
// Not thread-safe.
//
// The model of a power failure: of the bytes that a machine appended to a file since the last Sync, a prefix
// survives, possibly followed by zeros in place of the rest. Of the names that it created, removed or changed
// in a folder since the last SyncDir, the changes before some moment survive. A process that is killed loses
// nothing.
class MemoryDisk {
 public:
  struct Inode {
    bool folder = false;
    std::string data;
    uint64_t synced_bytes = 0;  // length of the synced prefix of `data`
    int writer = 0;             // the last machine that appended
  };
  using InodePtr = std::shared_ptr<Inode>;

  // The machine has lost power.
  void LosePower(int machine, const Draw& draw);

  // ---- damage ----
  // The files whose path starts with `prefix`, sorted.
  std::vector<std::string> Files(absl::string_view prefix) const;
  // The file's bytes, for the caller to damage; null: no such file.
  std::string* Bytes(const std::string& path);
  void Swap(const std::string& a, const std::string& b);

  // ---- for MemoryEnv ----
  InodePtr Find(const std::string& path) const;
  absl::StatusOr<InodePtr> Create(int machine, const std::string& path, WriteMode mode);
  absl::Status Rename(int machine, const std::string& from, const std::string& to);
  absl::Status Remove(int machine, const std::string& path);
  absl::Status CreateFolders(const std::string& path);
  void SyncFolder(const std::string& path);
  std::vector<std::string> Names(const std::string& folder) const;

 private:
  // A change of a name that no SyncDir has made durable yet. Created: from is "". Removed: to is "".
  struct NameChange {
    int machine = 0;
    std::string from, to;
    InodePtr replaced;  // what was at `to` before; for a removal, what was at `from`
  };
  void Undo(const NameChange& change);
  // Gives the file or folder, with all its contents, another path.
  void Move(const std::string& from, const std::string& to);

  std::map<std::string, InodePtr> inodes_;
  std::vector<NameChange> changes_;
};

// Called around each operation. `operation` is the name of the function of Env or WritableFile.
class DiskObserver {
 public:
  virtual ~DiskObserver() = default;
  // An error makes the operation fail without effect (except that an append may leave a part behind).
  virtual absl::Status Before(absl::string_view operation, const std::string& path) = 0;
  // The operation has changed the disk.
  virtual void After(absl::string_view operation, const std::string& path) = 0;
  // The path that `path` refers to on this machine now: a different one where storage is not mounted.
  virtual std::string Where(const std::string& path) { return path; }
};

// The disk as seen by one machine. Not thread-safe.
class MemoryEnv : public Env {
 public:
  // `disk` and `observer` must outlive it and its files. A null observer lets everything succeed.
  MemoryEnv(MemoryDisk* disk, int machine, DiskObserver* observer)
      : disk_(disk), machine_(machine), observer_(observer) {}

  absl::StatusOr<std::unique_ptr<WritableFile>> NewWritableFile(
      const std::string& path, WriteMode mode = WriteMode::kTruncate) override;
  absl::StatusOr<std::unique_ptr<RandomAccessFile>> NewRandomAccessFile(const std::string& path) override;
  absl::Status Rename(const std::string& from, const std::string& to) override;
  absl::Status SyncDir(const std::string& path) override;
  absl::Status CreateDirs(const std::string& path) override;
  absl::StatusOr<std::vector<std::string>> ListDir(const std::string& path) override;
  absl::Status DeleteFile(const std::string& path) override;
  absl::Status DeleteTree(const std::string& path) override;
  absl::StatusOr<uint64_t> FileSize(const std::string& path) override;
  bool FileExists(const std::string& path) override;

 private:
  friend class MemoryWritableFile;
  absl::Status Before(absl::string_view operation, const std::string& path) const {
    return observer_ == nullptr ? absl::OkStatus() : observer_->Before(operation, path);
  }
  void After(absl::string_view operation, const std::string& path) const {
    if (observer_ != nullptr) observer_->After(operation, path);
  }
  std::string Where(const std::string& path) const {
    return observer_ == nullptr ? path : observer_->Where(path);
  }

  MemoryDisk* const disk_;
  const int machine_;
  DiskObserver* const observer_;
};

}  // namespace shoal::simulation
