// The folder of a local training: whose it is, and who works in it.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/storage/file.h"

namespace shoal {

// A training's folder, held by this process: for as long as it lives, another claim is refused.
// The kernel gives it free when the process ends, however that ends.
class TrainingFolder {
 public:
  // Creates `folder` when it is not there. Only what Shoal has written may be replaced: a folder that no
  // claim has ever marked, with a file or folder of a name that a training writes, is refused, and so is one
  // with a report.json or metrics.jsonl of another form.
  // Errors: INVALID_ARGUMENT with the foreign file; FAILED_PRECONDITION with the id of the process that holds
  // the folder; what the system says.
  static absl::StatusOr<std::unique_ptr<TrainingFolder>> Claim(Env* env, const std::string& folder);
  ~TrainingFolder();
  TrainingFolder(const TrainingFolder&) = delete;
  TrainingFolder& operator=(const TrainingFolder&) = delete;

 private:
  explicit TrainingFolder(int fd) : fd_(fd) {}

  const int fd_;
};

}  // namespace shoal
