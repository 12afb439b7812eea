#include "scheduler/directive_queue.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/units.h"

namespace shoal::scheduler {

absl::Status DirectiveQueue::Push(const Directive& directive) {
  const size_t size = directive.ByteSizeLong();
  if (overflow_.ok() && bytes() + size > kMaxUnreadBytes) {
    overflow_ = absl::ResourceExhaustedError(absl::StrCat("the node does not read its directives: ", bytes(),
                                                          " bytes are unread, and a further ", size,
                                                          " would exceed ", FormatBytes(kMaxUnreadBytes)));
    Clear();
  }
  if (!overflow_.ok()) return overflow_;
  waiting_.push_back(directive);
  waiting_bytes_ += size;
  return absl::OkStatus();
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
