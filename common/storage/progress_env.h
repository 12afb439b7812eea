// Files whose reading and writing report progress.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/storage/file.h"
#include "common/storage/progress.h"

namespace shoal {

// `base`, but `progress` is called ("reads PATH", "writes PATH") before and after a file is opened, and after
// each Sync and each piece, of at most kPieceBytes, of a read or write: so a folder that has stopped
// responding is noticed. Thread-safe when `progress` is.
class ProgressEnv : public Env {
 public:
  static constexpr size_t kPieceBytes = 4 << 20;

  // `base` must outlive it and its files.
  ProgressEnv(Env* base, Progress progress) : base_(base), progress_(std::move(progress)) {}

  absl::StatusOr<std::unique_ptr<WritableFile>> NewWritableFile(
      const std::string& path, WriteMode mode = WriteMode::kTruncate) override;
  absl::StatusOr<std::unique_ptr<RandomAccessFile>> NewRandomAccessFile(const std::string& path) override;
  absl::Status Rename(const std::string& from, const std::string& to) override {
    return base_->Rename(from, to);
  }
  absl::Status SyncDir(const std::string& path) override { return base_->SyncDir(path); }
  absl::Status CreateDirs(const std::string& path) override { return base_->CreateDirs(path); }
  absl::StatusOr<std::vector<std::string>> ListDir(const std::string& path) override {
    return base_->ListDir(path);
  }
  absl::Status DeleteFile(const std::string& path) override { return base_->DeleteFile(path); }
  absl::Status DeleteTree(const std::string& path) override { return base_->DeleteTree(path); }
  absl::StatusOr<uint64_t> FileSize(const std::string& path) override { return base_->FileSize(path); }
  bool FileExists(const std::string& path) override { return base_->FileExists(path); }
  bool IsBeingWritten(const std::string& path) override { return base_->IsBeingWritten(path); }

 private:
  Env* const base_;
  const Progress progress_;
};

}  // namespace shoal
