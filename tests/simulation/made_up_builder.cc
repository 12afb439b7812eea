#include "tests/simulation/made_up_builder.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "tests/simulation/made_up_job.h"

namespace shoal::simulation {
namespace {

constexpr char kJobNames[] = "made-up-";

class NoProgram : public worker::Program {
 public:
  absl::Status RunSlot(const worker::SlotTask&) override { return absl::InternalError("not run"); }
  absl::StatusOr<EvaluationStatistics> EvaluateSlot(const worker::EvaluationTask&) override {
    return absl::InternalError("not run");
  }
};

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
  absl::string_view name = spec.name();
  uint64_t number = 0;
  if (!absl::ConsumePrefix(&name, kJobNames) || !absl::SimpleAtoi(name, &number))
    return absl::InvalidArgumentError("not a made-up job");
  worker::DerivedJob derived;
  derived.plan = MakeUpJob(number).plan;
  return derived;
}

absl::StatusOr<std::unique_ptr<worker::Program>> MadeUpBuilder::Build(
    const JobSpec&, const JobPlan&, const std::map<std::string, std::string>&, const Progress&) {
  if (Refuses()) return absl::ResourceExhaustedError("no space left on device");
  return std::make_unique<NoProgram>();
}

}  // namespace shoal::simulation
