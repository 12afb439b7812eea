#include "common/storage/whole_folder.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace shoal {
namespace {

absl::Status MoveFiles(Env* env, const std::string& from, const std::string& to) {
  SHOAL_ASSIGN_OR_RETURN(const std::vector<std::string> names, env->ListDir(from));
  for (const std::string& name : names)
    SHOAL_RETURN_IF_ERROR(env->Rename(JoinPath(from, name), JoinPath(to, name)));
  SHOAL_RETURN_IF_ERROR(env->DeleteTree(from));
  return env->SyncDir(to);
}

absl::Status MoveFolder(Env* env, const std::string& from, const std::string& to) {
  SHOAL_RETURN_IF_ERROR(env->Rename(from, to));
  return env->SyncDir(DirName(to));
}

}  // namespace

absl::Status WriteWholeFolder(Env* env, const std::string& folder,
                              const std::function<absl::Status(const std::string& unfinished)>& write) {
  const std::string path = NormalPath(folder);
  const bool exists = env->FileExists(path);
  const std::string unfinished = exists ? JoinPath(path, "export.partial") : absl::StrCat(path, ".partial");
  SHOAL_RETURN_IF_ERROR(env->DeleteTree(unfinished));
  absl::Status status = write(unfinished);
  if (status.ok()) status = exists ? MoveFiles(env, unfinished, path) : MoveFolder(env, unfinished, path);
  if (!status.ok()) env->DeleteTree(unfinished).IgnoreError();  // the first error is the one to report
  return status;
}

}  // namespace shoal
