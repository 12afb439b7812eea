#include "common/job/job_yaml.h"

#include <algorithm>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/job/job_reader.h"
#include "common/job/job_rules.h"
#include "common/job/job_spec.h"

namespace shoal {
namespace {

void ResolvePaths(const std::string& folder, JobSpec* job) {
  if (folder.empty()) return;
  MapPaths(
      [&](const std::string& path) {
        return path.empty() ? path : (std::filesystem::path(folder) / path).lexically_normal().string();
      },
      job);
}

bool IsInside(const std::string& inner, const std::string& outer) {
  return outer.empty() || inner == outer || absl::StartsWith(inner, outer + ".") ||
         absl::StartsWith(inner, outer + "[");
}

std::string GroupOf(const std::string& field) {
  const size_t dot = field.rfind('.');
  return dot == std::string::npos ? "" : field.substr(0, dot);
}

// Whether `later` may follow from `unread`: a field that could not be read is unset, and a missing field may
// be the one whose name is misspelt next to it.
bool MayFollow(const JobProblem& later, const JobProblem& unread) {
  if (IsInside(later.field, unread.field) || IsInside(unread.field, later.field)) return true;
  return later.missing && GroupOf(later.field) == GroupOf(unread.field);
}

void AddLaterProblems(const JobSpec& job, JobReader* reader) {
  const std::vector<PlacedProblem> unread = reader->Problems();
  for (const JobProblem& later : FindJobProblems(job)) {
    const bool follows = std::any_of(unread.begin(), unread.end(), [&](const PlacedProblem& placed) {
      return MayFollow(later, placed.problem);
    });
    if (!follows) reader->AddProblem(later);
  }
}

absl::Status StatusOf(const std::vector<PlacedProblem>& problems) {
  std::vector<std::string> lines;
  for (const PlacedProblem& placed : problems) {
    const std::string field = placed.problem.field.empty() ? "" : placed.problem.field + ": ";
    lines.push_back(absl::StrCat(placed.place, ": ", field, placed.problem.message));
  }
  return ProblemsToStatus(std::move(lines));
}

}  // namespace

absl::StatusOr<JobSpec> ParseJob(const JobText& text, const JobOverrides& overrides) {
  JobSpec job;
  JobReader reader(text.name, &job);
  reader.ReadText(text.yaml);
  ResolvePaths(text.folder, &job);
  for (const std::string& assignment : overrides.assignments) reader.ReadAssignment(assignment);
  ResolvePaths(overrides.folder, &job);
  CompleteJob(&job);
  AddLaterProblems(job, &reader);
  if (!reader.ok()) return StatusOf(reader.Problems());
  return job;
}

}  // namespace shoal
