#include "tests/simulation/made_up_builder.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/status.h"
#include "tests/simulation/made_up_program.h"

namespace shoal::simulation {
namespace {

constexpr char kJobNames[] = "made-up-";

absl::StatusOr<MadeUpJob> JobOf(const JobSpec& spec) {
  absl::string_view name = spec.name();
  uint64_t number = 0;
  if (!absl::ConsumePrefix(&name, kJobNames) || !absl::SimpleAtoi(name, &number))
    return absl::InvalidArgumentError("not a made-up job");
  return MakeUpJob(number);
}

}  // namespace

std::string MadeUpJobName(uint64_t number) { return absl::StrCat(kJobNames, number); }

absl::StatusOr<std::string> NoArtifacts::Fetch(const Artifact&, const Progress&) {
  return absl::InternalError("no artifact");
}

absl::StatusOr<Artifact> NoArtifacts::Put(const std::string&, const std::string&, const Progress&) {
  return absl::InternalError("no artifact");
}

void MadeUpBuilder::RefuseUntil(EventQueue* queue, absl::Time time) {
  queue_ = queue;
  refuses_until_ = time;
}

absl::StatusOr<worker::DerivedJob> MadeUpBuilder::Derive(const JobSpec& spec, const Progress&) {
  if (Refuses()) return absl::ResourceExhaustedError("no space left on device");
  SHOAL_ASSIGN_OR_RETURN(const MadeUpJob job, JobOf(spec));
  worker::DerivedJob derived;
  derived.plan = job.plan;
  return derived;
}

absl::StatusOr<std::unique_ptr<worker::Program>> MadeUpBuilder::Build(
    const JobSpec& spec, const JobPlan&, const std::map<std::string, std::string>&, const Progress&) {
  if (Refuses()) return absl::ResourceExhaustedError("no space left on device");
  SHOAL_ASSIGN_OR_RETURN(MadeUpJob job, JobOf(spec));
  return std::make_unique<MadeUpProgram>(std::move(job));
}

}  // namespace shoal::simulation
