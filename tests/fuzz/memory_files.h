// Read-only files in memory, for fuzz targets that test code that opens files.
#pragma once

#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "common/storage/file.h"

namespace shoal {

class MemoryFile : public RandomAccessFile {
 public:
  explicit MemoryFile(std::string bytes) : bytes_(std::move(bytes)) {}
  uint64_t size() const override { return bytes_.size(); }
  absl::Status Read(uint64_t offset, absl::Span<char> out) const override {
    if (offset > bytes_.size() || out.size() > bytes_.size() - offset)
      return absl::OutOfRangeError("the file is too short");
    if (!out.empty()) std::memcpy(out.data(), bytes_.data() + offset, out.size());
    return absl::OkStatus();
  }

 private:
  const std::string bytes_;
};

// Paths are plain names: there are no folders, and everything but reading is refused. Not thread-safe.
class MemoryFiles : public Env {
 public:
  std::string& operator[](const std::string& path) { return files_[path]; }

  absl::StatusOr<std::unique_ptr<RandomAccessFile>> NewRandomAccessFile(const std::string& path) override {
    const auto found = files_.find(path);
    if (found == files_.end()) return absl::NotFoundError(path);
    return std::make_unique<MemoryFile>(found->second);
  }
  absl::StatusOr<uint64_t> FileSize(const std::string& path) override {
    const auto found = files_.find(path);
    if (found == files_.end()) return absl::NotFoundError(path);
    return found->second.size();
  }
  bool FileExists(const std::string& path) override {
    const auto next = files_.lower_bound(path);
    return next != files_.end() && (next->first == path || absl::StartsWith(next->first, path + "/"));
  }
  absl::StatusOr<std::vector<std::string>> ListDir(const std::string& path) override {
    std::vector<std::string> names;
    for (const auto& [name, bytes] : files_) {
      if (DirName(name) == path) names.push_back(BaseName(name));
    }
    return names;
  }

  absl::StatusOr<std::unique_ptr<WritableFile>> NewWritableFile(const std::string&, WriteMode) override {
    return Refused();
  }
  absl::Status Rename(const std::string&, const std::string&) override { return Refused(); }
  absl::Status SyncDir(const std::string&) override { return Refused(); }
  absl::Status CreateDirs(const std::string&) override { return Refused(); }
  absl::Status DeleteFile(const std::string&) override { return Refused(); }
  absl::Status DeleteTree(const std::string&) override { return Refused(); }

 private:
  static absl::Status Refused() { return absl::PermissionDeniedError("these files can only be read"); }

  std::map<std::string, std::string> files_;
};

}  // namespace shoal
