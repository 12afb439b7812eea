#include "common/protocol/view_key.h"

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "google/protobuf/util/message_differencer.h"
#include "proto/scheduler.pb.h"

namespace shoal {

std::string ViewKey::ToString() const {
  return absl::StrCat("job ", job.value(), ", training ", absl::Hex(training.value(), absl::kZeroPad16),
                      view == ViewId(0) ? ", no view" : absl::StrCat(", view ", view.value()));
}

absl::Status CheckKey(const ViewKey& key, const ViewKey& held) {
  if (key == held && held.view != ViewId(0)) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("got ", key.ToString(), "; this node has ", held.ToString()));
}

absl::Status CheckSameTraining(const ViewKey& key, const ViewKey& held) {
  if (held.view == ViewId(0) || (key.job == held.job && key.training == held.training)) {
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(
      absl::StrCat("got ", key.ToString(), "; this node has another training: ", held.ToString()));
}

namespace {

bool IsSuccessor(const View& next, const View& held) {
  if (next.view() > held.view()) {
    const RestorePoint &a = next.restore(), &b = held.restore();
    return a.restore_id() > b.restore_id() || (a.restore_id() == b.restore_id() && a.nonce() == b.nonce());
  }
  View a = next, b = held;
  a.clear_target();
  b.clear_target();
  return google::protobuf::util::MessageDifferencer::Equals(a, b);
}

}  // namespace

absl::Status CheckSuccessor(const View& next, const View& held) {
  const ViewKey key = KeyOf(next), of_held = KeyOf(held);
  SHOAL_RETURN_IF_ERROR(CheckSameTraining(key, of_held));
  if (of_held.view == ViewId(0) || IsSuccessor(next, held)) return absl::OkStatus();
  return absl::OutOfRangeError(
      absl::StrCat("got ", key.ToString(), ", restore point ", next.restore().restore_id(), ", after view ",
                   of_held.view.value(), ", restore point ", held.restore().restore_id(),
                   ": the scheduler's store is an older copy"));
}

}  // namespace shoal
