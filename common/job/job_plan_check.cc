#include "common/job/job_plan_check.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "common/base/parameter_info.h"
#include "common/base/status.h"
#include "common/job/job_spec.h"

namespace shoal {
namespace {

// Each becomes an event of the job.
constexpr int kMaxNotes = 16;
constexpr size_t kMaxNoteBytes = 4096;
constexpr double kMaxRateFactor = 1e12;

absl::Status CheckNotes(const JobPlan& plan) {
  bool too_long = plan.notes_size() > kMaxNotes;
  for (const std::string& note : plan.notes()) too_long |= note.size() > kMaxNoteBytes;
  return too_long ? absl::InvalidArgumentError("plan: too many notes, or a note that is too long")
                  : absl::OkStatus();
}

absl::Status CheckClassWeights(const JobPlan& plan) {
  for (float weight : plan.class_weights()) {
    if (!(weight >= 0 && std::isfinite(weight)))
      return absl::InvalidArgumentError(
          absl::StrCat("plan: a class weight of ", weight, "; expected at least 0"));
  }
  return absl::OkStatus();
}

absl::Status CheckParameters(const JobPlan& plan) {
  uint64_t size = 0, groups = 0;
  for (const ParameterInfo& parameter : plan.parameters()) {
    if (parameter.offset() != size) {
      return absl::InvalidArgumentError(absl::StrCat("plan: parameter ", parameter.name(), " starts at ",
                                                     parameter.offset(), ", expected ", size));
    }
    const uint64_t elements = ElementsOf(parameter);
    if (elements == 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("plan: parameter ", parameter.name(), " has no elements"));
    }
    if (!(RateFactor(parameter) > 0 && RateFactor(parameter) < kMaxRateFactor)) {
      return absl::InvalidArgumentError(absl::StrCat("plan: parameter ", parameter.name(),
                                                     " has a learning rate factor of ", RateFactor(parameter),
                                                     "; expected one above 0 and below ", kMaxRateFactor));
    }
    size += elements;
    if (size > kMaxParameters) return absl::InvalidArgumentError("plan: too many parameters");
  }
  for (uint64_t group : plan.group_sizes()) {
    if (group > kMaxParameters - groups) return absl::InvalidArgumentError("plan: groups are too large");
    groups += group;
  }
  if (size == 0 || size != groups) {
    return absl::InvalidArgumentError(
        absl::StrCat("plan: the groups have ", groups, " elements, the parameters ", size));
  }
  return absl::OkStatus();
}

}  // namespace

TrainingLength LengthOf(const JobPlan& plan) {
  return {plan.rounds(), std::max<uint64_t>(plan.rounds_per_epoch(), 1)};
}

absl::Status CheckPlan(const JobSpec& spec, const JobPlan& plan) {
  SHOAL_RETURN_IF_ERROR(ValidateJob(spec));
  if (spec.train().slots() == 0) return absl::InvalidArgumentError("spec: train.slots is 0");
  if (plan.rounds() == 0) return absl::InvalidArgumentError("plan: no rounds");
  SHOAL_RETURN_IF_ERROR(CheckNotes(plan));
  SHOAL_RETURN_IF_ERROR(CheckClassWeights(plan));
  SHOAL_RETURN_IF_ERROR(CheckParameters(plan));
  return CheckLength(spec, LengthOf(plan));
}

}  // namespace shoal
