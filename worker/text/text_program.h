// The program of text jobs: what a slot computes (worker/program.h).
#pragma once

#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/storage/file.h"
#include "kernels/device.h"
#include "worker/program.h"

namespace shoal::worker {

// `env` and `device` must outlive it and its programs. `threads`: for deriving.
class TextProgramBuilder : public ProgramBuilder {
 public:
  TextProgramBuilder(Env* env, kernels::Device* device, int threads = 1)
      : env_(env), device_(device), threads_(threads) {}

  absl::StatusOr<DerivedJob> Derive(const JobSpec& spec, const Progress& progress) override;
  absl::StatusOr<bool> HasData(const JobPlan& plan, const Progress& progress) override;
  // The job's data need not be on this machine.
  absl::StatusOr<std::unique_ptr<Program>> Build(const JobSpec& spec, const JobPlan& plan,
                                                 const std::map<std::string, std::string>& artifacts,
                                                 const Progress& progress) override;

 private:
  Env* const env_;
  kernels::Device* const device_;
  const int threads_;
};

}  // namespace shoal::worker
