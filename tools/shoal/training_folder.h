// The folder of a local training: who owns it, and which process uses it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/storage/file.h"

namespace shoal::tools {

// A training's folder, held by this process: while this object lives, other claims are refused.
// The kernel releases it when the process ends, however it ends.
class TrainingFolder {
 public:
  // Creates `chosen` if it does not exist. Only what Shoal has written may be replaced: a folder is refused
  // if no claim has ever marked it and it holds a file or folder with a name that a training writes, or if it
  // has a report.json or metrics.jsonl of another form.
  // Errors: INVALID_ARGUMENT with the foreign file; FAILED_PRECONDITION with the id of the process that holds
  // the folder; the system's.
  static absl::StatusOr<std::unique_ptr<TrainingFolder>> Claim(Env* env, const std::string& chosen);
  ~TrainingFolder();
  TrainingFolder(const TrainingFolder&) = delete;
  TrainingFolder& operator=(const TrainingFolder&) = delete;

  // Absolute, without symbolic links: a link that leads elsewhere later changes nothing here.
  const std::string& path() const { return folder_; }

  // The scheduler's state names checkpoints by their paths. In a folder that was moved, or is a copy, these
  // are not the folder's own: a scheduler with that state would write to another training's checkpoints, and
  // delete some. So `state` contains the path of the folder that it was made in: a copy takes it along, and
  // no crash can separate the two.

  // Whether there is a state that was made in this folder. Errors: the system's.
  absl::StatusOr<bool> HasState() const;
  struct FormerState {
    std::string made_in;  // "": it does not say
    std::string aside;    // where it is now
  };
  // Creates `state`, unless HasState. One that was not made in this folder is set aside and returned; what is
  // in the way of its new name stays. Errors: the system's: no scheduler may be started then.
  absl::StatusOr<std::optional<FormerState>> PrepareState();

 private:
  TrainingFolder(Env* env, std::string folder, int fd) : env_(env), folder_(std::move(folder)), fd_(fd) {}

  Env* const env_;
  const std::string folder_;
  const int fd_;
};

}  // namespace shoal::tools
