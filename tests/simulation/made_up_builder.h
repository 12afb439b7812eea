// What a simulated worker prepares made-up jobs with: they need no files, artifacts or models.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/storage/artifact_source.h"
#include "tests/simulation/event_queue.h"
#include "worker/program.h"

namespace shoal::simulation {

// The name by which a JobSpec says which made-up job it is: "made-up-NUMBER".
std::string MadeUpJobName(uint64_t number);

// Every call is an error: made-up jobs have no artifacts.
class NoArtifacts : public ArtifactSource {
 public:
  absl::StatusOr<std::string> Fetch(const Artifact& artifact, const Progress& progress) override;
  absl::StatusOr<Artifact> Put(const std::string& name, const std::string& path,
                               const Progress& progress) override;
};

// Derives plan and program (a MadeUpProgram) from the job's name. Errors: INVALID_ARGUMENT when the job is
// not a made-up one.
class MadeUpBuilder : public worker::ProgramBuilder {
 public:
  // Until `time` on `queue` every job is refused: RESOURCE_EXHAUSTED.
  void RefuseUntil(EventQueue* queue, absl::Time time);

  absl::StatusOr<worker::DerivedJob> Derive(const JobSpec& spec, const Progress& progress) override;
  absl::StatusOr<std::unique_ptr<worker::Program>> Build(const JobSpec& spec, const JobPlan& plan,
                                                         const std::map<std::string, std::string>& artifacts,
                                                         const Progress& progress) override;

 private:
  bool Refuses() const { return queue_ != nullptr && queue_->now() < refuses_until_; }

  EventQueue* queue_ = nullptr;
  absl::Time refuses_until_;
};

}  // namespace shoal::simulation
