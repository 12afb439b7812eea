#include "tools/shoal/training_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/memory/memory.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/status.h"
#include "nlohmann/json.hpp"

namespace shoal::tools {
namespace {

// Locked while a training runs. Holds its process id and, on the second line, the folder's own path; its
// existence marks the folder as ours.
constexpr char kMark[] = ".shoal-train";

// What a training writes. Without checkpoints: the scheduler checks those itself, and a folder of them may
// come from another cluster to be resumed.
constexpr const char* kWritten[] = {"report.json", "metrics.jsonl", "model", "logs", "state", "work"};

absl::Status Foreign(const std::string& path) {
  return absl::InvalidArgumentError(
      absl::StrCat(path,
                   " was not written by shoal train and would be replaced: choose another --out, or "
                   "move it away"));
}

// Whether the first line, or the whole text, is a JSON object with this key. Replacing an empty file loses
// nothing.
bool HasKey(const std::string& text, const char* key, bool first_line) {
  if (text.empty()) return true;
  const auto json = nlohmann::json::parse(first_line ? text.substr(0, text.find('\n')) : text, nullptr,
                                          /*allow_exceptions=*/false);
  return json.is_object() && json.contains(key);
}

absl::Status CheckForm(Env* env, const std::string& path, const char* key, bool first_line) {
  if (!env->FileExists(path)) return absl::OkStatus();
  const auto text = env->ReadFile(path);
  return text.ok() && HasKey(*text, key, first_line) ? absl::OkStatus() : Foreign(path);
}

absl::Status CheckMarked(Env* env, const std::string& folder) {
  for (const char* name : kWritten) {
    const std::string path = JoinPath(folder, name);
    // In this order, because a training that starts at this moment creates the mark first.
    if (env->FileExists(path) && !env->FileExists(JoinPath(folder, kMark))) return Foreign(path);
  }
  return absl::OkStatus();
}

absl::Status CheckForms(Env* env, const std::string& folder) {
  SHOAL_RETURN_IF_ERROR(CheckForm(env, JoinPath(folder, "report.json"), "parameters_sha256", false));
  return CheckForm(env, JoinPath(folder, "metrics.jsonl"), "event", true);
}

// The lines of the mark; both are empty in a new one.
struct Mark {
  std::string process;
  std::string folder;
};

Mark ReadMark(int fd) {
  char text[PATH_MAX + 32] = {};
  const ssize_t size = pread(fd, text, sizeof(text), 0);
  const std::vector<std::string> lines = absl::StrSplit(absl::string_view(text, size > 0 ? size : 0), '\n');
  return {lines[0], lines.size() > 1 ? lines[1] : ""};
}

// A folder may have several paths.
bool IsElsewhere(const std::string& path, const std::string& folder) {
  std::error_code error;
  return !path.empty() && path != folder && !std::filesystem::equivalent(path, folder, error);
}

absl::Status Held(int fd, const std::string& folder) {
  const std::string pid = ReadMark(fd).process;
  return absl::FailedPreconditionError(
      absl::StrCat("another shoal train", pid.empty() ? "" : absl::StrCat(" (process ", pid, ")"),
                   " is using ", folder, ": wait for it, or choose another --out"));
}

absl::Status WriteMark(int fd, const std::string& path, const std::string& folder) {
  const std::string text = absl::StrCat(getpid(), "\n", folder, "\n");
  if (ftruncate(fd, 0) != 0 || pwrite(fd, text.data(), text.size(), 0) != static_cast<ssize_t>(text.size()))
    return absl::ErrnoToStatus(errno, absl::StrCat("can't write ", path));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<TrainingFolder>> TrainingFolder::Claim(Env* env, const std::string& folder) {
  SHOAL_RETURN_IF_ERROR(env->CreateDirs(folder));
  SHOAL_RETURN_IF_ERROR(CheckMarked(env, folder));
  const std::string path = JoinPath(folder, kMark);
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) return absl::ErrnoToStatus(errno, absl::StrCat("can't open ", path));
  auto claimed = absl::WrapUnique(new TrainingFolder(fd));
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) return Held(fd, folder);
    return absl::ErrnoToStatus(errno, absl::StrCat("can't lock ", path));
  }
  SHOAL_RETURN_IF_ERROR(CheckForms(env, folder));
  const Mark former = ReadMark(fd);
  if (IsElsewhere(former.folder, folder)) claimed->moved_from_ = former.folder;
  SHOAL_RETURN_IF_ERROR(WriteMark(fd, path, folder));
  return claimed;
}

TrainingFolder::~TrainingFolder() { close(fd_); }

}  // namespace shoal::tools
