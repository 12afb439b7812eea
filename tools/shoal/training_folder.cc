#include "tools/shoal/training_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/memory/memory.h"
#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/status.h"
#include "nlohmann/json.hpp"

namespace shoal::tools {
namespace {

// Locked while a training runs, and holds its process id; its existence marks the folder as ours.
constexpr char kMark[] = ".shoal-train";

constexpr char kState[] = "state";
constexpr char kMovedSuffix[] = ".moved";
// In the state: the path of the folder that it was made in, and a line feed. Never rewritten.
constexpr char kMadeIn[] = "folder";

// What a training writes. Without checkpoints: the scheduler checks those itself, and a folder of them may
// come from another cluster to be resumed.
constexpr const char* kWritten[] = {"report.json", "metrics.jsonl", "model", "adapter",    "logs",
                                    "plots",       "state",         "work",  "state.moved"};

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

// Where the state was made; "": it does not say.
absl::StatusOr<std::string> FolderOfState(Env* env, const std::string& state) {
  auto text = env->ReadFile(JoinPath(state, kMadeIn));
  if (absl::IsNotFound(text.status())) return "";
  if (!text.ok()) return text.status();
  return std::string(absl::StripSuffix(*text, "\n"));
}

absl::Status Held(int fd, const std::string& folder) {
  char text[32] = {};
  const ssize_t size = pread(fd, text, sizeof(text) - 1, 0);
  const absl::string_view pid = absl::StripAsciiWhitespace(absl::string_view(text, size > 0 ? size : 0));
  return absl::FailedPreconditionError(
      absl::StrCat("another shoal train", pid.empty() ? "" : absl::StrCat(" (process ", pid, ")"),
                   " is using ", folder, ": wait for it, or choose another --out"));
}

absl::Status WriteProcessId(int fd, const std::string& path) {
  const std::string text = absl::StrCat(getpid(), "\n");
  if (ftruncate(fd, 0) != 0 || pwrite(fd, text.data(), text.size(), 0) != static_cast<ssize_t>(text.size()))
    return absl::ErrnoToStatus(errno, absl::StrCat("can't write ", path));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<TrainingFolder>> TrainingFolder::Claim(Env* env, const std::string& chosen) {
  SHOAL_RETURN_IF_ERROR(env->CreateDirs(chosen));
  std::error_code error;
  const std::string folder = std::filesystem::canonical(chosen, error).string();
  if (error) return absl::InvalidArgumentError(absl::StrCat(chosen, ": ", error.message()));
  SHOAL_RETURN_IF_ERROR(CheckMarked(env, folder));
  const std::string path = JoinPath(folder, kMark);
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) return absl::ErrnoToStatus(errno, absl::StrCat("can't open ", path));
  auto claimed = absl::WrapUnique(new TrainingFolder(env, folder, fd));
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) return Held(fd, folder);
    return absl::ErrnoToStatus(errno, absl::StrCat("can't lock ", path));
  }
  SHOAL_RETURN_IF_ERROR(CheckForms(env, folder));
  SHOAL_RETURN_IF_ERROR(WriteProcessId(fd, path));
  return claimed;
}

absl::StatusOr<bool> TrainingFolder::HasState() const {
  SHOAL_ASSIGN_OR_RETURN(const std::string made_in, FolderOfState(env_, JoinPath(folder_, kState)));
  return made_in == folder_;
}

absl::StatusOr<std::optional<TrainingFolder::FormerState>> TrainingFolder::PrepareState() {
  SHOAL_ASSIGN_OR_RETURN(const bool is_here, HasState());
  if (is_here) return std::nullopt;
  const std::string state = JoinPath(folder_, kState);
  std::optional<FormerState> former;
  SHOAL_RETURN_IF_ERROR(env_->CreateDirs(state));
  SHOAL_ASSIGN_OR_RETURN(const std::vector<std::string> names, env_->ListDir(state));
  // A command that ended at this point may have left a part of this file alone.
  const std::string partial = absl::StrCat(kMadeIn, ".tmp");
  if (std::any_of(names.begin(), names.end(), [&](const std::string& name) { return name != partial; })) {
    former.emplace();
    SHOAL_ASSIGN_OR_RETURN(former->made_in, FolderOfState(env_, state));
    SHOAL_ASSIGN_OR_RETURN(former->aside, SetAside(env_, state, kMovedSuffix));
    SHOAL_RETURN_IF_ERROR(env_->CreateDirs(state));
  }
  SHOAL_RETURN_IF_ERROR(env_->WriteFileAtomic(JoinPath(state, kMadeIn), absl::StrCat(folder_, "\n")));
  return former;
}

TrainingFolder::~TrainingFolder() { close(fd_); }

}  // namespace shoal::tools
