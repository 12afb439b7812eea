#include "scheduler/directive_queue.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/units.h"

namespace shoal::scheduler {

absl::Status DirectiveQueue::Push(const Directive& directive) {
  const size_t size_bytes = directive.ByteSizeLong();
  if (overflow_.ok()) overflow_ = CheckRoom(size_bytes);
  if (!overflow_.ok()) {
    Clear();
    return overflow_;
  }
  waiting_.push_back(directive);
  waiting_bytes_ += size_bytes;
  return absl::OkStatus();
}

absl::Status DirectiveQueue::CheckRoom(size_t further_bytes) const {
  constexpr char kProblem[] = "the node does not read its directives: ";
  if (size() + 1 > kMaxUnread) {
    return absl::ResourceExhaustedError(
        absl::StrCat(kProblem, size(), " are unread, and there may be no more than that"));
  }
  if (bytes() + further_bytes <= kMaxUnreadBytes) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrCat(kProblem, bytes(), " bytes are unread, and a further ",
                                                   further_bytes, " would exceed ",
                                                   FormatBytes(kMaxUnreadBytes)));
}

std::optional<Directive> DirectiveQueue::Pop() {
  written_bytes_ = 0;
  if (waiting_.empty()) return std::nullopt;
  Directive next = std::move(waiting_.front());
  waiting_.pop_front();
  written_bytes_ = next.ByteSizeLong();
  waiting_bytes_ -= written_bytes_;
  return next;
}

void DirectiveQueue::Clear() {
  waiting_.clear();
  waiting_bytes_ = 0;
}

}  // namespace shoal::scheduler
