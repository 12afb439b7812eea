#include "scheduler/checkpoint_files.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/checkpoint.h"
#include "common/status.h"
#include "google/protobuf/util/json_util.h"

namespace shoal::scheduler {
namespace {

constexpr char kHistoryName[] = "history.json";

}  // namespace

absl::StatusOr<std::string> CommitWithHistory(Env* env, const CommitCheckpointFiles& commit) {
  const Version version(commit.manifest.version());
  const std::string partial = JoinPath(commit.folder, PartialCheckpointName(version));
  if (env->FileExists(partial) && !env->FileExists(JoinPath(commit.folder, CheckpointName(version)))) {
    std::string json;
    if (!google::protobuf::util::MessageToJsonString(commit.history, &json).ok()) {
      return absl::InternalError("the verdicts can't be written as JSON");
    }
    SHOAL_RETURN_IF_ERROR(env->WriteFileAtomic(JoinPath(partial, kHistoryName), json + "\n"));
  }
  return CommitCheckpoint(env, commit.folder, commit.manifest);
}

absl::StatusOr<ResumePoint> FindResumePoint(Env* env, const std::string& checkpoint) {
  std::string path = checkpoint;
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  SHOAL_ASSIGN_OR_RETURN(const std::vector<Version> inside, ListCheckpoints(env, path));
  if (!inside.empty()) path = JoinPath(path, CheckpointName(inside.back()));
  SHOAL_ASSIGN_OR_RETURN(const CheckpointManifest manifest, ReadManifest(env, path));
  ResumePoint point;
  point.version = Version(manifest.version());
  point.directory = path;
  point.spec_sha256 = manifest.spec_sha256();
  const std::string history_path = JoinPath(path, kHistoryName);
  if (env->FileExists(history_path)) {
    SHOAL_ASSIGN_OR_RETURN(const std::string json, env->ReadFile(history_path));
    CheckpointHistory history;
    if (!google::protobuf::util::JsonStringToMessage(json, &history).ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat(history_path, ": expected the verdicts of a training, as JSON"));
    }
    point.evaluations.assign(history.evaluations().begin(), history.evaluations().end());
  }
  const std::string folder = DirName(path);
  SHOAL_ASSIGN_OR_RETURN(const std::vector<Version> siblings, ListCheckpoints(env, folder));
  for (Version version : siblings) {
    const std::string sibling = JoinPath(folder, CheckpointName(version));
    const auto other = ReadManifest(env, sibling);
    const bool same =
        other.ok() && other->job() == manifest.job() && other->spec_sha256() == manifest.spec_sha256();
    if (same && version < point.version) point.others.push_back({version, sibling});
  }
  point.others.push_back({point.version, path});
  return point;
}

absl::Status CheckCheckpointFolder(Env* env, const std::string& folder,
                                   const std::optional<ResumePoint>& resume) {
  SHOAL_ASSIGN_OR_RETURN(const std::vector<Version> versions, ListCheckpoints(env, folder));
  for (Version version : versions) {
    const std::string path = JoinPath(folder, CheckpointName(version));
    SHOAL_ASSIGN_OR_RETURN(const CheckpointManifest there, ReadManifest(env, path));
    if (resume && there.spec_sha256() == resume->spec_sha256 && version <= resume->version) continue;
    return absl::FailedPreconditionError(
        absl::StrCat("checkpoint_dir: ", path, " is of ",
                     resume && there.spec_sha256() == resume->spec_sha256 ? "a later version than resume_from"
                                                                          : "another job",
                     " (", there.job_name(), "): choose another folder, or go on from it with resume_from"));
  }
  return absl::OkStatus();
}

}  // namespace shoal::scheduler
