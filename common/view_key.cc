#include "common/view_key.h"

#include "absl/strings/str_cat.h"

namespace shoal {

std::string ViewKey::ToString() const {
  return absl::StrCat("job ", job.value(), ", training ", absl::Hex(training.value(), absl::kZeroPad16),
                      view == ViewId(0) ? ", no view" : absl::StrCat(", view ", view.value()));
}

absl::Status CheckKey(const ViewKey& key, const ViewKey& held) {
  if (key == held && held.view != ViewId(0)) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat("got ", key.ToString(), "; here is ", held.ToString()));
}

absl::Status CheckSameTraining(const ViewKey& key, const ViewKey& held) {
  if (held.view == ViewId(0) || (key.job == held.job && key.training == held.training)) {
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(
      absl::StrCat("got ", key.ToString(), "; here is another training: ", held.ToString()));
}

absl::Status CheckNotOlder(const ViewKey& key, const ViewKey& held) {
  if (key.view >= held.view) return absl::OkStatus();
  return absl::OutOfRangeError(absl::StrCat("got ", key.ToString(), ", which is older than view ",
                                            held.view.value(),
                                            ", which came before: the scheduler's store is an older copy"));
}

}  // namespace shoal
