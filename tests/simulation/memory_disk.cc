#include "tests/simulation/memory_disk.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace shoal::simulation {
namespace {

absl::Status NotFound(const std::string& path) {
  return absl::NotFoundError(absl::StrCat(path, ": No such file or directory"));
}

bool IsWithin(absl::string_view path, absl::string_view folder) {
  return path.size() > folder.size() && path[folder.size()] == '/' && absl::StartsWith(path, folder);
}

}  // namespace

// ---- names ----

MemoryDisk::InodePtr MemoryDisk::Find(const std::string& path) const {
  const auto found = inodes_.find(path);
  return found == inodes_.end() ? nullptr : found->second;
}

absl::StatusOr<MemoryDisk::InodePtr> MemoryDisk::Create(int machine, const std::string& path,
                                                        WriteMode mode) {
  InodePtr& inode = inodes_[path];
  if (inode != nullptr && inode->folder)
    return absl::FailedPreconditionError(absl::StrCat(path, ": Is a directory"));
  if (inode != nullptr && mode == WriteMode::kAppend) return inode;
  if (inode == nullptr) {
    const std::string folder = DirName(path);
    if (folder != "." && folder != "/" && Find(folder) == nullptr) {
      inodes_.erase(path);
      return NotFound(path);
    }
    inode = std::make_shared<Inode>();
    changes_.push_back({machine, "", path, nullptr});
    return inode;
  }
  // Truncated: the old bytes may be gone immediately. Readers that have the file open keep what they see.
  inode->data.clear();
  inode->synced_bytes = 0;
  return inode;
}

void MemoryDisk::Move(const std::string& from, const std::string& to) {
  std::vector<std::pair<std::string, InodePtr>> moved;
  for (auto it = inodes_.lower_bound(from); it != inodes_.end() && absl::StartsWith(it->first, from);) {
    if (it->first != from && !IsWithin(it->first, from)) {
      ++it;
      continue;
    }
    moved.emplace_back(absl::StrCat(to, it->first.substr(from.size())), it->second);
    it = inodes_.erase(it);
  }
  for (auto& [path, inode] : moved) inodes_[path] = std::move(inode);
  for (NameChange& change : changes_) {
    if (change.to == from) change.to = to;
    if (IsWithin(change.from, from)) change.from = absl::StrCat(to, change.from.substr(from.size()));
    if (IsWithin(change.to, from)) change.to = absl::StrCat(to, change.to.substr(from.size()));
  }
}

absl::Status MemoryDisk::Rename(int machine, const std::string& from, const std::string& to) {
  const InodePtr inode = Find(from);
  if (inode == nullptr) return NotFound(from);
  const InodePtr replaced = Find(to);
  if (replaced != nullptr && replaced->folder && !Names(to).empty()) {
    return absl::FailedPreconditionError(absl::StrCat(to, ": Directory not empty"));
  }
  Move(from, to);
  changes_.push_back({machine, from, to, replaced});
  return absl::OkStatus();
}

absl::Status MemoryDisk::Remove(int machine, const std::string& path) {
  const InodePtr inode = Find(path);
  if (inode == nullptr) return NotFound(path);
  inodes_.erase(path);
  changes_.push_back({machine, path, "", inode});
  return absl::OkStatus();
}

absl::Status MemoryDisk::CreateFolders(const std::string& path) {
  if (path.empty() || path == "." || path == "/") return absl::OkStatus();
  const InodePtr there = Find(path);
  if (there != nullptr) {
    return there->folder ? absl::OkStatus()
                         : absl::FailedPreconditionError(absl::StrCat(path, ": Not a directory"));
  }
  SHOAL_RETURN_IF_ERROR(CreateFolders(DirName(path)));
  const auto inode = std::make_shared<Inode>();
  inode->folder = true;
  inodes_[path] = inode;
  return absl::OkStatus();
}

void MemoryDisk::SyncFolder(const std::string& path) {
  const auto durable = [&](const NameChange& change) {
    return DirName(change.to.empty() ? change.from : change.to) == path;
  };
  changes_.erase(std::remove_if(changes_.begin(), changes_.end(), durable), changes_.end());
}

std::vector<std::string> MemoryDisk::Names(const std::string& folder) const {
  std::vector<std::string> names;
  const std::string prefix = absl::StrCat(folder, "/");
  for (auto it = inodes_.lower_bound(prefix); it != inodes_.end() && absl::StartsWith(it->first, prefix);
       ++it) {
    if (it->first.find('/', prefix.size()) == std::string::npos)
      names.push_back(it->first.substr(prefix.size()));
  }
  return names;
}

// ---- power failures and damage ----

void MemoryDisk::Undo(const NameChange& change) {
  if (change.from.empty()) {  // created
    inodes_.erase(change.to);
  } else if (change.to.empty()) {  // removed
    if (Find(change.from) == nullptr) inodes_[change.from] = change.replaced;
  } else if (Find(change.to) != nullptr && Find(change.from) == nullptr) {
    Move(change.to, change.from);
    if (change.replaced != nullptr) inodes_[change.to] = change.replaced;
  }
}

void MemoryDisk::LosePower(int machine, const Draw& draw) {
  for (auto& [path, inode] : inodes_) {
    if (inode->writer != machine || inode->data.size() <= inode->synced_bytes) continue;
    const uint64_t loose = inode->data.size() - inode->synced_bytes;
    const uint64_t kept = inode->synced_bytes + draw(loose + 1);
    const uint64_t size = draw(2) == 0 ? kept : inode->data.size();
    inode->data.resize(kept);
    inode->data.resize(size, '\0');
    inode->synced_bytes = size;
  }
  // In each folder the most recent changes are lost.
  std::map<std::string, uint64_t> changed;  // how often
  const auto folder_of = [](const NameChange& change) {
    return DirName(change.to.empty() ? change.from : change.to);
  };
  for (const NameChange& change : changes_) {
    if (change.machine == machine) ++changed[folder_of(change)];
  }
  std::map<std::string, uint64_t> losses;
  for (const auto& [folder, count] : changed) losses[folder] = count - draw(count + 1);
  for (size_t i = changes_.size(); i-- > 0;) {
    const NameChange change = changes_[i];
    if (change.machine != machine) continue;
    changes_.erase(changes_.begin() + static_cast<std::ptrdiff_t>(i));
    uint64_t& lost = losses[folder_of(change)];
    if (lost == 0) continue;
    --lost;
    Undo(change);
  }
  // Everything in a folder whose name is lost is lost too.
  for (auto it = inodes_.begin(); it != inodes_.end();) {
    const std::string folder = DirName(it->first);
    const bool reachable = folder == "." || folder == "/" || Find(folder) != nullptr;
    it = reachable ? std::next(it) : inodes_.erase(it);
  }
}

std::vector<std::string> MemoryDisk::Files(absl::string_view prefix) const {
  std::vector<std::string> files;
  for (const auto& [path, inode] : inodes_) {
    if (!inode->folder && absl::StartsWith(path, prefix)) files.push_back(path);
  }
  return files;
}

std::string* MemoryDisk::Bytes(const std::string& path) {
  const InodePtr inode = Find(path);
  return inode == nullptr || inode->folder ? nullptr : &inode->data;
}

void MemoryDisk::Swap(const std::string& a, const std::string& b) {
  std::string* const first = Bytes(a);
  std::string* const second = Bytes(b);
  if (first != nullptr && second != nullptr) first->swap(*second);
}

// ---- files ----

class MemoryWritableFile : public WritableFile {
 public:
  MemoryWritableFile(const MemoryEnv* env, std::string path, MemoryDisk::InodePtr inode)
      : env_(env), path_(std::move(path)), inode_(std::move(inode)) {}

  absl::Status Append(absl::string_view bytes) override {
    const absl::Status status = env_->Before("Append", path_);
    if (!status.ok()) bytes = bytes.substr(0, absl::IsUnavailable(status) ? 0 : bytes.size() / 2);
    inode_->writer = env_->machine_;
    inode_->data.append(bytes.data(), bytes.size());
    if (status.ok()) env_->After("Append", path_);
    return status;
  }
  absl::Status Sync() override {
    SHOAL_RETURN_IF_ERROR(env_->Before("Sync", path_));
    inode_->synced_bytes = inode_->data.size();
    env_->After("Sync", path_);
    return absl::OkStatus();
  }
  absl::Status Close() override { return env_->Before("Close", path_); }

 private:
  const MemoryEnv* const env_;
  const std::string path_;
  const MemoryDisk::InodePtr inode_;
};

namespace {

class MemoryRandomAccessFile : public RandomAccessFile {
 public:
  MemoryRandomAccessFile(std::string path, MemoryDisk::InodePtr inode)
      : path_(std::move(path)), inode_(std::move(inode)), size_(inode_->data.size()) {}

  uint64_t size() const override { return size_; }
  absl::Status Read(uint64_t offset, absl::Span<char> out) const override {
    if (offset > inode_->data.size() || out.size() > inode_->data.size() - offset) {
      return absl::OutOfRangeError(absl::StrCat(path_, ": the file is too short"));
    }
    std::copy_n(inode_->data.data() + offset, out.size(), out.data());
    return absl::OkStatus();
  }

 private:
  const std::string path_;
  const MemoryDisk::InodePtr inode_;
  const uint64_t size_;
};

}  // namespace

// ---- MemoryEnv ----

absl::StatusOr<std::unique_ptr<WritableFile>> MemoryEnv::NewWritableFile(const std::string& path,
                                                                         WriteMode mode) {
  SHOAL_RETURN_IF_ERROR(Before("NewWritableFile", path));
  SHOAL_ASSIGN_OR_RETURN(MemoryDisk::InodePtr inode, disk_->Create(machine_, Where(path), mode));
  After("NewWritableFile", path);
  return std::make_unique<MemoryWritableFile>(this, path, std::move(inode));
}

absl::StatusOr<std::unique_ptr<RandomAccessFile>> MemoryEnv::NewRandomAccessFile(const std::string& path) {
  SHOAL_RETURN_IF_ERROR(Before("NewRandomAccessFile", path));
  MemoryDisk::InodePtr inode = disk_->Find(Where(path));
  if (inode == nullptr) return NotFound(path);
  if (inode->folder) return absl::FailedPreconditionError(absl::StrCat(path, ": Is a directory"));
  return std::make_unique<MemoryRandomAccessFile>(path, std::move(inode));
}

absl::Status MemoryEnv::Rename(const std::string& from, const std::string& to) {
  SHOAL_RETURN_IF_ERROR(Before("Rename", from));
  SHOAL_RETURN_IF_ERROR(disk_->Rename(machine_, Where(from), Where(to)));
  After("Rename", from);
  return absl::OkStatus();
}

absl::Status MemoryEnv::SyncDir(const std::string& path) {
  SHOAL_RETURN_IF_ERROR(Before("SyncDir", path));
  disk_->SyncFolder(Where(path));
  After("SyncDir", path);
  return absl::OkStatus();
}

absl::Status MemoryEnv::CreateDirs(const std::string& path) {
  SHOAL_RETURN_IF_ERROR(Before("CreateDirs", path));
  SHOAL_RETURN_IF_ERROR(disk_->CreateFolders(Where(path)));
  After("CreateDirs", path);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> MemoryEnv::ListDir(const std::string& path) {
  SHOAL_RETURN_IF_ERROR(Before("ListDir", path));
  const MemoryDisk::InodePtr inode = disk_->Find(Where(path));
  if (inode == nullptr || !inode->folder) return NotFound(path);
  return disk_->Names(Where(path));
}

absl::Status MemoryEnv::DeleteFile(const std::string& path) {
  SHOAL_RETURN_IF_ERROR(Before("DeleteFile", path));
  SHOAL_RETURN_IF_ERROR(disk_->Remove(machine_, Where(path)));
  After("DeleteFile", path);
  return absl::OkStatus();
}

// Deletes file by file, so that it can be interrupted anywhere.
absl::Status MemoryEnv::DeleteTree(const std::string& path) {
  const MemoryDisk::InodePtr inode = disk_->Find(Where(path));
  SHOAL_RETURN_IF_ERROR(Before("DeleteTree", path));
  if (inode == nullptr) return absl::OkStatus();
  if (inode->folder) {
    for (const std::string& name : disk_->Names(Where(path)))
      SHOAL_RETURN_IF_ERROR(DeleteTree(JoinPath(path, name)));
  }
  SHOAL_RETURN_IF_ERROR(Before("DeleteTree", path));
  SHOAL_RETURN_IF_ERROR(disk_->Remove(machine_, Where(path)));
  After("DeleteTree", path);
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> MemoryEnv::FileSize(const std::string& path) {
  SHOAL_RETURN_IF_ERROR(Before("FileSize", path));
  const MemoryDisk::InodePtr inode = disk_->Find(Where(path));
  if (inode == nullptr) return NotFound(path);
  return inode->data.size();
}

bool MemoryEnv::FileExists(const std::string& path) { return disk_->Find(Where(path)) != nullptr; }

}  // namespace shoal::simulation
