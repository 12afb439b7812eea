// The folder of a local training: who owns it, and which process uses it.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/storage/file.h"

namespace shoal::tools {

// A training's folder, held by this process: while this object lives, other claims are refused.
// The kernel releases it when the process ends, however it ends.
class TrainingFolder {
 public:
  // Creates `folder` if it does not exist. Only what Shoal has written may be replaced: a folder is refused
  // if no claim has ever marked it and it holds a file or folder with a name that a training writes, or if it
  // has a report.json or metrics.jsonl of another form.
  // Errors: INVALID_ARGUMENT with the foreign file; FAILED_PRECONDITION with the id of the process that holds
  // the folder; the system's.
  static absl::StatusOr<std::unique_ptr<TrainingFolder>> Claim(Env* env, const std::string& folder);
  ~TrainingFolder();
  TrainingFolder(const TrainingFolder&) = delete;
  TrainingFolder& operator=(const TrainingFolder&) = delete;

  // Where the folder was when it was last claimed, if that was another folder than this one: it has been
  // moved, or is a copy. Empty: it was here, or is new.
  const std::string& moved_from() const { return moved_from_; }

 private:
  explicit TrainingFolder(int fd) : fd_(fd) {}

  const int fd_;
  std::string moved_from_;
};

}  // namespace shoal::tools
