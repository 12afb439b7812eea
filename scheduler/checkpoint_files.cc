#include "scheduler/checkpoint_files.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/job/job_print.h"
#include "common/storage/checkpoint.h"
#include "google/protobuf/util/json_util.h"

namespace shoal::scheduler {
namespace {

absl::Status Malformed(const std::string& checkpoint) {
  return absl::DataLossError(
      absl::StrCat(checkpoint, ": damaged: its history does not hold the verdicts of a training"));
}

absl::StatusOr<std::string> FormatHistory(const CheckpointHistory& history) {
  std::string json;
  if (google::protobuf::util::MessageToJsonString(history, &json).ok()) return json + "\n";
  return absl::InternalError("the verdicts can't be written as JSON");
}

// Reads what the checkpoint's own files say about a resume point.
absl::StatusOr<ResumePoint> ReadResumePointOnce(Env* env, const std::string& path) {
  SHOAL_ASSIGN_OR_RETURN(const CheckpointReader reader, CheckpointReader::Open(env, path));
  const CheckpointManifest& manifest = reader.manifest();
  SHOAL_ASSIGN_OR_RETURN(const std::string json, ReadCheckpointHistory(env, path, manifest));
  CheckpointHistory history;
  if (!json.empty() && !google::protobuf::util::JsonStringToMessage(json, &history).ok())
    return Malformed(path);
  ResumePoint point;
  point.version = Version(manifest.version());
  point.directory = path;
  point.spec_sha256 = manifest.spec_sha256();
  point.numerics_text = manifest.numerics_text();
  point.plan_sha256 = manifest.plan_sha256();
  point.plan_text = manifest.plan_text();
  point.evaluations.assign(history.evaluations().begin(), history.evaluations().end());
  if (history.has_metric()) point.metric = history.metric();
  return point;
}

// The same, but retries: an I/O error may be transient.
absl::StatusOr<ResumePoint> ReadResumePoint(Env* env, const std::string& path) {
  constexpr int kAttempts = 3;
  auto point = ReadResumePointOnce(env, path);
  for (int i = 1; i < kAttempts && IsUnreadable(point.status()); ++i) point = ReadResumePointOnce(env, path);
  return point;
}

// Whether job and data are the same, but for a length that changes no version: then versions have the same
// bits, whichever job wrote them. Format 1 does not record the data.
bool IsSameTraining(const CheckpointManifest& manifest, const ResumePoint& point) {
  const auto same = [](const std::string& sha256, const std::string& text, const std::string& other_sha256,
                       const std::string& other_text) {
    return sha256 == other_sha256 ||
           (!text.empty() && !other_text.empty() && DifferOnlyInLength(text, other_text));
  };
  const bool data_known = !manifest.plan_sha256().empty() && !point.plan_sha256.empty();
  return same(manifest.spec_sha256(), manifest.numerics_text(), point.spec_sha256, point.numerics_text) &&
         (!data_known ||
          same(manifest.plan_sha256(), manifest.plan_text(), point.plan_sha256, point.plan_text));
}

// `path`, then the older checkpoints beside it; or, if it is a folder of checkpoints, those in it. Newest
// first.
absl::StatusOr<std::vector<ResumePoint::Checkpoint>> Candidates(Env* env, const std::string& path) {
  SHOAL_ASSIGN_OR_RETURN(std::vector<Version> versions, ListCheckpoints(env, path));
  std::vector<ResumePoint::Checkpoint> candidates;
  std::string folder = path;
  if (versions.empty()) {
    folder = DirName(path);
    SHOAL_ASSIGN_OR_RETURN(const std::vector<Version> siblings, ListCheckpoints(env, folder));
    const auto named = ReadManifest(env, path);
    if (absl::IsNotFound(named.status())) return named.status();
    Version version;
    for (Version sibling : siblings) {
      if (CheckpointName(sibling) == BaseName(path)) version = sibling;
    }
    if (named.ok()) version = Version(named->version());
    candidates.push_back({version, path});
    for (Version sibling : siblings) {
      if (sibling < version) versions.push_back(sibling);
    }
  }
  for (auto version = versions.rbegin(); version != versions.rend(); ++version) {
    candidates.push_back({*version, JoinPath(folder, CheckpointName(*version))});
  }
  return candidates;
}

}  // namespace

absl::StatusOr<std::string> CommitWithHistory(Env* env, const CommitCheckpointFiles& commit) {
  if (!commit.first) SHOAL_RETURN_IF_ERROR(CheckStorage(env, commit.folder));
  SHOAL_ASSIGN_OR_RETURN(std::string json, FormatHistory(commit.history));
  if (json.size() > kMaxCheckpointTextBytes) {  // confusion matrices of thousands of labels
    CheckpointHistory brief = commit.history;
    for (EvaluationRecord& evaluation : *brief.mutable_evaluations()) evaluation.clear_statistics();
    SHOAL_ASSIGN_OR_RETURN(json, FormatHistory(brief));
  }
  return CommitCheckpoint(env, commit.folder, commit.manifest, json, commit.restore_id);
}

absl::StatusOr<std::string> VerifyOrSetAside(Env* env, const std::string& checkpoint) {
  const auto reader = CheckpointReader::Open(env, checkpoint);
  const absl::StatusOr<std::string> sha256 = reader.ok() ? reader->Verify() : reader.status();
  if (sha256.ok() || !IsCheckpointDamage(sha256.status())) return sha256;
  SHOAL_RETURN_IF_ERROR(CheckStorage(env, DirName(checkpoint)));
  if (absl::IsNotFound(sha256.status())) return sha256;
  const auto aside = SetCheckpointAside(env, checkpoint);
  return absl::DataLossError(absl::StrCat(sha256.status().message(),
                                          aside.ok() ? "; it is now " : "; it can't be set aside: ",
                                          aside.ok() ? *aside : std::string(aside.status().message())));
}

absl::StatusOr<ResumePoint> FindResumePoint(Env* env, const std::string& checkpoint) {
  std::string path = checkpoint;
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  SHOAL_ASSIGN_OR_RETURN(const std::vector<ResumePoint::Checkpoint> candidates, Candidates(env, path));
  ResumePoint point;
  // Whether the candidate must be left out; if so, records why.
  const auto leave_out = [&](const ResumePoint::Checkpoint& candidate, const absl::Status& status) {
    if (!IsCheckpointDamage(status) && !IsUnreadable(status)) return false;
    point.damaged.push_back({candidate.version, candidate.directory, std::string(status.message())});
    return true;
  };
  for (const ResumePoint::Checkpoint& candidate : candidates) {
    if (point.directory.empty()) {
      auto read = ReadResumePoint(env, candidate.directory);
      if (read.ok()) {
        read->damaged = std::move(point.damaged);
        point = *std::move(read);
        point.others.push_back(candidate);
        continue;
      }
      if (!leave_out(candidate, read.status())) return read.status();
      continue;
    }
    const auto manifest = ReadManifest(env, candidate.directory);
    if (manifest.ok() && IsSameTraining(*manifest, point)) point.others.push_back(candidate);
    leave_out(candidate, manifest.status());
  }
  return point;
}

absl::StatusOr<std::string> FreeCheckpointFolder(Env* env, const std::string& folder,
                                                 const std::set<std::string>& taken) {
  std::string free = folder;
  for (int number = 2;; ++number) {
    SHOAL_ASSIGN_OR_RETURN(const std::vector<Version> versions, ListCheckpoints(env, free));
    if (versions.empty() && taken.count(free) == 0) return free;
    free = absl::StrCat(folder, "-", number);
  }
}

absl::Status CheckCheckpointFolder(Env* env, const std::string& folder,
                                   const std::optional<ResumePoint>& resume) {
  SHOAL_ASSIGN_OR_RETURN(const std::vector<Version> versions, ListCheckpoints(env, folder));
  for (Version version : versions) {
    const std::string path = JoinPath(folder, CheckpointName(version));
    if (resume &&
        std::any_of(resume->damaged.begin(), resume->damaged.end(),
                    [&](const ResumePoint::Checkpoint& damaged) { return damaged.directory == path; })) {
      continue;
    }
    const auto read = ReadManifest(env, path);
    if (!read.ok()) return Annotate(read.status(), "checkpoint_dir");
    const CheckpointManifest& there = *read;
    const bool same = resume && !resume->directory.empty() && IsSameTraining(there, *resume);
    if (same && version <= resume->version) continue;
    return absl::FailedPreconditionError(absl::StrCat(
        "checkpoint_dir: ", path, same ? " is a later version than resume_from" : " belongs to another job",
        " (", there.job_name(), "): choose another folder, or continue from it with resume_from"));
  }
  return absl::OkStatus();
}

}  // namespace shoal::scheduler
