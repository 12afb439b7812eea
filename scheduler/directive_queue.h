// The directives that a session has been sent and its node has not read.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>

#include "absl/status/status.h"
#include "proto/scheduler.pb.h"

namespace shoal::scheduler {

// Bounded: a node that does not read must not use up the scheduler's memory. A directive with which more than
// kMaxUnreadBytes, or kMaxUnread directives, would be unread is refused, and those that wait are dropped: the
// session has to end. The node reports its state in its next session and is sent what it lacks, so nothing is
// lost.
//
// Pure; not thread-safe.
class DirectiveQueue {
 public:
  // Serialized. Room for a few of the largest directives: a plan may take megabytes.
  static constexpr size_t kMaxUnreadBytes = size_t{64} << 20;
  // In memory a small directive takes many times its serialized bytes.
  static constexpr size_t kMaxUnread = 100'000;

  // Errors: RESOURCE_EXHAUSTED beyond either bound, and ever after: what follows a lost directive must not
  // arrive without it.
  absl::Status Push(const Directive& directive);

  // Removes and returns the next directive to write; nullopt: none waits. The one before it has been written
  // by then, and counts no longer.
  std::optional<Directive> Pop();

  // Drops those that wait.
  void Clear();

  // Of the directives that wait and of the one that is being written.
  size_t bytes() const { return waiting_bytes_ + written_bytes_; }
  size_t size() const { return waiting_.size() + (written_bytes_ > 0); }

 private:
  absl::Status CheckRoom(size_t further_bytes) const;

  std::deque<Directive> waiting_;
  size_t waiting_bytes_ = 0;
  size_t written_bytes_ = 0;  // of the last one that Pop returned
  absl::Status overflow_;
};

}  // namespace shoal::scheduler
