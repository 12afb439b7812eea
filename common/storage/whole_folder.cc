#include "common/storage/whole_folder.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace shoal {
namespace {

// Not by way of FileExists, which says that a file is not there when the disk can't tell.
absl::Status DeleteIfThere(Env* env, const std::string& path) {
  const absl::Status deleted = env->DeleteFile(path);
  return absl::IsNotFound(deleted) ? absl::OkStatus() : deleted;
}

// Each SyncDir keeps a crash of the machine from reordering what is before it and after it.
absl::Status MoveFiles(Env* env, const std::string& from, const std::string& to, const std::string& marker) {
  SHOAL_ASSIGN_OR_RETURN(const std::vector<std::string> names, env->ListDir(from));
  SHOAL_RETURN_IF_ERROR(DeleteIfThere(env, JoinPath(to, marker)));
  SHOAL_RETURN_IF_ERROR(env->SyncDir(to));
  for (const std::string& name : names) {
    if (name != marker) SHOAL_RETURN_IF_ERROR(env->Rename(JoinPath(from, name), JoinPath(to, name)));
  }
  SHOAL_RETURN_IF_ERROR(env->SyncDir(to));
  SHOAL_RETURN_IF_ERROR(env->Rename(JoinPath(from, marker), JoinPath(to, marker)));
  SHOAL_RETURN_IF_ERROR(env->SyncDir(to));
  return env->DeleteTree(from);
}

absl::Status MoveFolder(Env* env, const std::string& from, const std::string& to) {
  SHOAL_RETURN_IF_ERROR(env->Rename(from, to));
  return env->SyncDir(DirName(to));
}

std::string UnfinishedName(const std::string& path, bool exists) {
  if (exists) return JoinPath(path, ".export.partial");
  return JoinPath(DirName(path), absl::StrCat(".", BaseName(path), ".partial"));
}

}  // namespace

bool IsHalfWritten(Env* env, const std::string& folder, const std::string& marker) {
  const std::string path = NormalPath(folder);
  return !env->FileExists(JoinPath(path, marker)) &&
         env->FileExists(JoinPath(UnfinishedName(path, /*exists=*/true), marker));
}

absl::Status WriteWholeFolder(Env* env, const std::string& folder, const std::string& marker,
                              const std::function<absl::Status(const std::string& unfinished)>& write) {
  const std::string path = NormalPath(folder);
  const bool exists = env->FileExists(path);
  const std::string unfinished = UnfinishedName(path, exists);
  SHOAL_RETURN_IF_ERROR(env->DeleteTree(unfinished));
  const absl::Status written = write(unfinished);
  if (!written.ok()) {
    env->DeleteTree(unfinished).IgnoreError();  // the first error is the one to report
    return written;
  }
  const absl::Status moved =
      exists ? MoveFiles(env, unfinished, path, marker) : MoveFolder(env, unfinished, path);
  if (moved.ok() || !env->FileExists(unfinished)) return moved;
  return absl::Status(moved.code(), absl::StrCat(moved.message(), "; what could not be moved to ", path,
                                                 " is in ", unfinished));
}

}  // namespace shoal
